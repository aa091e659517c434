#pragma once
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/reduce.cuh"

namespace embedpool::cuda {

/// Scores of every query with its own candidates alone: scores(i, c) = anchor_i . candidate_{i k + c}, c < k. A warp for
/// a score, its lanes stride over the width. With k = 1 these are the scores of the positives.
///
/// Shapes  anchors [B, D], candidates [B k, D], scores [B, k]
/// Oracle  embedpool::SoftmaxTerms, families with `own` > 0
struct OwnScores {
  static constexpr int threads = 128;
  Rows<const float> anchors;
  Rows<const float> candidates;
  Rows<float> scores;

  LaunchShape launch_shape() const noexcept { return {divide_up(scores.rows * scores.cols, threads / warp_size), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index candidate = thread.block() * (threads / warp_size) + thread.warp();
    if (candidate >= scores.rows * scores.cols) return;  // whole warps, and no barrier of the block follows
    const Index query = candidate / scores.cols;
    const bool packs = in_packs(anchors) && in_packs(candidates);
    const float sum = packs ? dot<pack_size<float>>(thread, query, candidate) : dot<1>(thread, query, candidate);
    if (thread.lane() == 0) scores(query, candidate % scores.cols) = sum;
  }

 private:
  template <int n, GridThread G>
  EMBEDPOOL_DEVICE float dot(const G& thread, Index query, Index candidate) const {
    const float* const a = anchors.row_data(query);
    const float* const c = candidates.row_data(candidate);
    float sum = 0;
    for (Index j = Index(thread.lane()) * n; j < anchors.cols; j += Index(warp_size) * n) {
      const auto left = load<n>(a + j), right = load<n>(c + j);
      for (std::size_t i = 0; i < n; ++i) sum += left[i] * right[i];
    }
    return warp_reduce(thread, sum, Sum{});
  }
};

/// danchor_i += sum_c dscores(i, c) candidate_{i k + c},  dcandidate_{i k + c} += dscores(i, c) anchor_i. A block for a
/// query, its threads stride over the width: nobody else has its candidates.
///
/// Shapes  as OwnScores
struct OwnScoresBackward {
  static constexpr int threads = 128;
  Rows<const float> anchors;
  Rows<const float> candidates;
  Rows<const float> dscores;
  Rows<float> danchors;
  Rows<float> dcandidates;

  LaunchShape launch_shape() const noexcept { return {dscores.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index query = thread.block();
    const bool packs = in_packs(anchors) && in_packs(candidates) && in_packs(danchors) && in_packs(dcandidates);
    for_columns<float>(thread, anchors.cols, packs, [&](auto n, Index j) {
      const auto anchor = load<n>(anchors.row_data(query) + j);
      auto danchor = load<n>(danchors.row_data(query) + j);
      for (Index c = 0; c < dscores.cols; ++c) {
        const float dscore = dscores(query, c);
        const Index row = query * dscores.cols + c;
        const auto candidate = load<n>(candidates.row_data(row) + j);
        auto dcandidate = load<n>(dcandidates.row_data(row) + j);
        for (std::size_t i = 0; i < n; ++i) {
          danchor[i] += dscore * candidate[i];
          dcandidate[i] += dscore * anchor[i];
        }
        store(dcandidates.row_data(row) + j, dcandidate);
      }
      store(danchors.row_data(query) + j, danchor);
    });
  }
};

}  // namespace embedpool::cuda
