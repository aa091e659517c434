#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

/// A row of the corpus and its score against a query.
struct Neighbour {
  Index row;
  float score;

  /// The order of an answer: score falling, then row rising.
  friend bool operator<(const Neighbour& a, const Neighbour& b) noexcept {
    return a.score != b.score ? a.score > b.score : a.row < b.row;
  }
  friend bool operator==(const Neighbour&, const Neighbour&) = default;
};

namespace detail {

/// A neighbour as one whole number, the better the smaller: the bits of a float rise with it once those of negative ones
/// are turned over. Sorting such numbers needs no branch.
///
/// Requires  0 <= row < 2^32, the score is a number; -0 becomes 0, which it equals
constexpr std::uint64_t neighbour_key(float score, Index row) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);
  const std::uint32_t rising = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{~rising} << 32 | static_cast<std::uint32_t>(row);
}
constexpr Neighbour neighbour_of(std::uint64_t key) noexcept {
  const std::uint32_t rising = ~static_cast<std::uint32_t>(key >> 32);
  const std::uint32_t bits = (rising >> 31) != 0 ? rising & 0x7fffffffu : ~rising;
  return {static_cast<Index>(key & 0xffffffffu), std::bit_cast<float>(bits)};
}

/// The k best neighbours of some queries so far, gathered from registers of scores in any order of columns.
///
/// Candidates of a query are collected up to twice k, then cut to the k best; what scores less than the worst of these
/// never enters. Most registers are passed over by one comparison.
class BestNeighbours {
 public:
  BestNeighbours(Index queries, Index k)
      : k_(k), limit_(std::max<Index>(2 * k, k + 64)),
        kept_(std::make_unique_for_overwrite<std::uint64_t[]>(static_cast<std::size_t>(queries * capacity()))),
        counts_(static_cast<std::size_t>(queries)), bounds_(static_cast<std::size_t>(queries)) {
    clear();
  }

  /// Forgets all neighbours, for other queries.
  void clear() noexcept {
    std::fill(counts_.begin(), counts_.end(), Index(0));
    std::fill(bounds_.begin(), bounds_.end(), -std::numeric_limits<float>::infinity());
  }

  float bound(Index query) const noexcept { return bounds_[static_cast<std::size_t>(query)]; }

  /// Takes in the scores of rows [row, row + count) that reach the bound, at most `most_at_once`.
  void add(Index query, Index row, const float* scores, Index count) noexcept {
    std::uint64_t* first = kept(query);
    Index& kept_count = counts_[static_cast<std::size_t>(query)];
    Index n = kept_count;
    const float least = bound(query);
    for (Index j = 0; j < count; ++j) {
      first[n] = neighbour_key(scores[j], row + j);  // stays only where n moves on: nothing here to foresee wrongly
      n += scores[j] >= least ? 1 : 0;
    }
    if (n >= limit_) {
      std::nth_element(first, first + k_ - 1, first + n);
      n = k_;
      bounds_[static_cast<std::size_t>(query)] = neighbour_of(first[k_ - 1]).score;
    }
    kept_count = n;
  }

  /// The answer to a query, best first.
  std::vector<Neighbour> sorted(Index query) {
    std::uint64_t* first = kept(query);
    const Index count = counts_[static_cast<std::size_t>(query)], n = std::min(k_, count);
    if (n < count) std::nth_element(first, first + n, first + count);
    std::sort(first, first + n);
    std::vector<Neighbour> answer;
    answer.reserve(static_cast<std::size_t>(n));
    for (Index i = 0; i < n; ++i) answer.push_back(neighbour_of(first[i]));
    return answer;
  }

 private:
  static constexpr Index most_at_once = simd::lanes<float>;
  Index capacity() const noexcept { return limit_ + most_at_once; }
  std::uint64_t* kept(Index query) noexcept { return kept_.get() + query * capacity(); }

  Index k_, limit_;
  std::unique_ptr<std::uint64_t[]> kept_;  // pages that nothing was written to take no memory
  std::vector<Index> counts_;
  std::vector<float> bounds_;
};

/// Epilogue of a product of queries and corpus rows: hands scores on instead of storing them.
struct KeepBest {
  BestNeighbours* best;
  Index first_row;  ///< of the corpus, for column 0
  static constexpr Index panel_columns() noexcept { return simd::Tile<float>::width; }
  template <std::size_t V>
  void store(Index query, Index column, const simd::Vector<float> (&sums)[V], Index count) const noexcept {
    constexpr Index n = simd::lanes<float>;
    for (std::size_t v = 0; v < V; ++v) {
      if (!xsimd::any(sums[v] >= simd::Vector<float>(best->bound(query)))) continue;
      alignas(64) float scores[static_cast<std::size_t>(n)];
      sums[v].store_aligned(scores);
      const Index first = static_cast<Index>(v) * n;
      best->add(query, first_row + column + first, scores, std::min(n, count - first));
    }
  }
};

}  // namespace detail

}  // namespace embedpool
