#pragma once
#include "embedpool/pooling/tokens/one_key.hpp"
#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool {

/// The mean of the token states.
///
///   key = 1/n sum_t h_t
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  mode `mean` of sentence-transformers, arXiv 1908.10084
struct TokenMean : OneKey {
  using WeightedSum = TokenMean;
  static constexpr double weight(Index) noexcept { return 1.0; }
  static constexpr double divisor(Index tokens) noexcept { return static_cast<double>(tokens); }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    weighted_sum(states, weight, divisor(states.shape().tokens), out.row(0));
  }

  /// dh_t += dkey / n
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    weighted_sum_backward(states, weight, divisor(states.shape().tokens), dout.row(0), dstates);
  }
};

static_assert(WeightedSumReader<TokenMean>);
static_assert(TokensPolicy<TokenMean, float> && TokensPolicy<TokenMean, double>);

}  // namespace embedpool
