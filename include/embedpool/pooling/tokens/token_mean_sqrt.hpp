#pragma once
#include <cmath>

#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool {

/// The sum of the token states over the root of their number.
///
///   key = 1/sqrt(n) sum_t h_t
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  mode `mean_sqrt_len_tokens` of sentence-transformers
struct TokenMeanSqrt : WeightedSumOf<TokenMeanSqrt> {
  static constexpr double weight(Index) noexcept { return 1.0; }
  /// A template because std::sqrt is not constexpr, and only a template may be constexpr all the same.
  template <Real S = double>
  static constexpr S divisor(Index tokens) noexcept {
    return std::sqrt(static_cast<S>(tokens));
  }
};

static_assert(WeightedSumReader<TokenMeanSqrt>);
static_assert(TokensPolicy<TokenMeanSqrt, float> && TokensPolicy<TokenMeanSqrt, double>);

}  // namespace embedpool
