#pragma once
#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool {

/// The mean of the token states.
///
///   key = 1/n sum_t h_t
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  mode `mean` of sentence-transformers, arXiv 1908.10084
struct TokenMean : WeightedSumOf<TokenMean> {
  static constexpr double weight(Index) noexcept { return 1.0; }
  static constexpr double divisor(Index tokens) noexcept { return static_cast<double>(tokens); }
};

static_assert(WeightedSumReader<TokenMean>);
static_assert(TokensPolicy<TokenMean, float> && TokensPolicy<TokenMean, double>);

}  // namespace embedpool
