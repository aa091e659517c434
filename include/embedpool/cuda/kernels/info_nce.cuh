#pragma once
#include <cmath>
#include <limits>

#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/info_nce_mask.cuh"
#include "embedpool/cuda/kernels/scalar_argument.cuh"

namespace embedpool::cuda {

/// What is kept of every query while blocks of its scores come and go. Logits are taken from the positive's, which so is
/// 0 and the first term of every sum: a loss near 0 keeps its digits.
///
///   loss_i = log(1 + sum_j exp(z_ij)),  z_ij = scale (s_ij - s_i,positive)   over kept terms j beside the positive
///
/// Shapes  [B] each
struct QuerySums {
  float* positive;     ///< s_i,positive
  float* largest;      ///< of 0 and the z_ij so far
  float* others;       ///< sum of exp(z_ij - largest), without the positive's term
  float* loss;
  float* scale_share;  ///< sum of softmax_ij (s_ij - s_i,positive), which is d loss_i / d scale
};

/// A block of scores of neighbouring queries, and what its columns mean.
struct ScoreBlock {
  Rows<float> scores;         ///< [R, C]
  Index first_query = 0;
  Index first_candidate = 0;  ///< that of column 0, unless `own`
  bool own = false;           ///< every row has C candidates of its own: the partner, where there is one, is column 0
  ScoreMask mask;

  constexpr RowMask row_mask(Index query, float positive) const noexcept {
    return mask.row(query, own ? (mask.offset + query) * scores.cols : first_candidate, positive);
  }
};

/// First pass: the largest logit and the sum of exponentials go on over a block of scores. A block for a query, its
/// threads stride over the candidates, each with a largest value and a sum of its own.
///
/// Oracle  embedpool::SoftmaxTerms, first pass
struct InfoNceSums {
  static constexpr int threads = 128;
  ScoreBlock block;
  ScalarArgument scale;
  QuerySums sums;

  LaunchShape launch_shape() const noexcept { return {block.scores.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    constexpr float nothing = -std::numeric_limits<float>::infinity();
    const Index query = block.first_query + thread.block();
    const float positive = sums.positive[query], factor = scale.value();
    const float* const scores = block.scores.row_data(thread.block());
    const RowMask mask = block.row_mask(query, positive);
    float largest = nothing, sum = 0;
    for_columns<float>(thread, block.scores.cols, in_packs(block.scores), [&](auto n, Index j) {
      const auto values = load<n>(scores + j);
      for (std::size_t i = 0; i < n; ++i) {
        const float logit = factor * (values[i] - positive);
        if (!mask.keeps(j + static_cast<Index>(i), values[i]) || logit == nothing) continue;
        if (logit > largest) {
          sum = sum * std::exp(largest - logit) + 1.0f;
          largest = logit;
        } else {
          sum += std::exp(logit - largest);
        }
      }
    });
    float* const scratch = reinterpret_cast<float*>(thread.shared());
    const float block_largest = block_reduce(thread, largest, Largest{}, scratch);
    sum = block_reduce(thread, sum == 0 ? 0.0f : sum * std::exp(largest - block_largest), Sum{}, scratch);
    if (thread.index() == 0) {
      const float before = sums.largest[query], now = before < block_largest ? block_largest : before;
      sums.others[query] = sums.others[query] * std::exp(before - now) + (sum == 0 ? 0.0f : sum * std::exp(block_largest - now));
      sums.largest[query] = now;
    }
  }
};

/// loss_i from the sums; no number where the positive's score is none, which as a difference of 0 would be forgotten. A
/// thread for a query.
struct InfoNceLosses {
  static constexpr int threads = 128;
  Index queries;
  QuerySums sums;

  LaunchShape launch_shape() const noexcept { return {divide_up(queries, threads), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index query = thread.block() * threads + thread.index();
    if (query >= queries) return;
    // log(exp(0) + sum exp(z)) with the largest taken out; log1p and expm1 keep small sums
    const float largest = sums.largest[query];
    const float positive = sums.positive[query], nothing = positive - positive;  // 0, or no number
    sums.loss[query] = largest + std::log1p(sums.others[query] + std::expm1(-largest)) + nothing;
  }
};

/// Second pass: a block of scores becomes their derivatives, weight scale / B (softmax_ij - [j is the positive]), and
/// scale_share goes on. A block for a query.
///
/// Oracle  embedpool::SoftmaxTerms, second pass
struct InfoNceGradients {
  static constexpr int threads = 128;
  ScoreBlock block;
  ScalarArgument scale;
  QuerySums sums;
  float weight;  ///< of each query: that of the loss, over B

  LaunchShape launch_shape() const noexcept { return {block.scores.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index query = block.first_query + thread.block();
    const float positive = sums.positive[query], loss = sums.loss[query], factor = scale.value();
    const float of_positive = block.mask.partner_is_positive ? std::expm1(-loss) : 0.0f;
    float* const scores = block.scores.row_data(thread.block());
    const RowMask mask = block.row_mask(query, positive);
    float scale_share = 0;
    for_columns<float>(thread, block.scores.cols, in_packs(block.scores), [&](auto n, Index j) {
      auto values = load<n>(scores + j);
      for (std::size_t i = 0; i < n; ++i) {
        const Index column = j + static_cast<Index>(i);
        float share = column == mask.partner ? of_positive : 0.0f;
        if (mask.keeps(column, values[i])) {
          const float beyond = values[i] - positive;
          share = std::exp(factor * beyond - loss);
          if (share != 0) scale_share += share * beyond;  // 0 times -infinity is no share
        }
        values[i] = weight * factor * share;
      }
      store(scores + j, values);
    });
    scale_share = block_reduce(thread, scale_share, Sum{}, reinterpret_cast<float*>(thread.shared()));
    if (thread.index() == 0) sums.scale_share[query] += scale_share;
  }
};

/// out += factor sum(values), in an order that depends on their number alone. One block.
struct AddSum {
  static constexpr int threads = 128;
  const float* values;
  Index count;
  float factor;
  float* out;

  LaunchShape launch_shape() const noexcept { return {1, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    float sum = 0;
    for (Index i = thread.index(); i < count; i += threads) sum += values[i];
    sum = block_reduce(thread, sum, Sum{}, reinterpret_cast<float*>(thread.shared()));
    if (thread.index() == 0) *out += factor * sum;
  }
};

}  // namespace embedpool::cuda
