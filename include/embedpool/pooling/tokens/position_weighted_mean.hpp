#pragma once
#include "embedpool/pooling/tokens/one_key.hpp"
#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool {

/// The mean of the token states with weights that rise with the position: later tokens have seen more of the text.
///
///   key = sum_t (t + 1) h_t / sum_t (t + 1)        t = 0 .. n-1, the tokens that this reader is shown
///
/// Positions count real tokens and restart under PromptExcluded, SkipFirst and SecondCopy: the first token shown has
/// weight 1. (Code that counts columns of a left-padded batch gets other weights.)
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  SGPT, arXiv 2202.08904; LLM2Vec `weighted_mean`; mode `weightedmean` of sentence-transformers
struct PositionWeightedMean : OneKey {
  using WeightedSum = PositionWeightedMean;
  static constexpr double weight(Index t) noexcept { return static_cast<double>(t + 1); }
  static constexpr double divisor(Index n) noexcept { return static_cast<double>(n) * static_cast<double>(n + 1) / 2; }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    weighted_sum(states, weight, divisor(states.shape().tokens), out.row(0));
  }

  /// dh_t += (t + 1) / (n (n + 1) / 2) dkey
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    weighted_sum_backward(states, weight, divisor(states.shape().tokens), dout.row(0), dstates);
  }
};

static_assert(WeightedSumReader<PositionWeightedMean>);
static_assert(TokensPolicy<PositionWeightedMean, float> && TokensPolicy<PositionWeightedMean, double>);

}  // namespace embedpool
