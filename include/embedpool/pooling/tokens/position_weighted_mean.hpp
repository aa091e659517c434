#pragma once
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
struct PositionWeightedMean : WeightedSumOf<PositionWeightedMean> {
  static constexpr double weight(Index t) noexcept { return static_cast<double>(t + 1); }
  static constexpr double divisor(Index n) noexcept { return static_cast<double>(n) * static_cast<double>(n + 1) / 2; }
};

static_assert(WeightedSumReader<PositionWeightedMean>);
static_assert(TokensPolicy<PositionWeightedMean, float> && TokensPolicy<PositionWeightedMean, double>);

}  // namespace embedpool
