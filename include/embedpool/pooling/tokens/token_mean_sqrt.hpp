#pragma once
#include <cmath>

#include "embedpool/pooling/tokens/one_key.hpp"
#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool {

/// The sum of the token states over the root of their number.
///
///   key = 1/sqrt(n) sum_t h_t
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  mode `mean_sqrt_len_tokens` of sentence-transformers
struct TokenMeanSqrt : OneKey {
  using WeightedSum = TokenMeanSqrt;
  static constexpr double weight(Index) noexcept { return 1.0; }
  /// A template because std::sqrt is not constexpr, and only a template may be constexpr all the same.
  template <Real S = double>
  static constexpr S divisor(Index tokens) noexcept {
    return std::sqrt(static_cast<S>(tokens));
  }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    weighted_sum(states, weight, divisor(states.shape().tokens), out.row(0));
  }

  /// dh_t += dkey / sqrt(n)
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    weighted_sum_backward(states, weight, divisor(states.shape().tokens), dout.row(0), dstates);
  }
};

static_assert(WeightedSumReader<TokenMeanSqrt>);
static_assert(TokensPolicy<TokenMeanSqrt, float> && TokensPolicy<TokenMeanSqrt, double>);

}  // namespace embedpool
