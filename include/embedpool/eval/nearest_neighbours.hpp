#pragma once
#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"
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

/// The k best neighbours of some queries so far, gathered from register tiles of scores in any order of columns.
///
/// Candidates of a query are collected up to twice k, then cut to the k best; what scores less than the worst of these
/// never enters. Most tiles are passed over by one comparison a register.
class BestNeighbours {
 public:
  BestNeighbours(Index queries, Index k)
      : k_(k), capacity_(std::max<Index>(2 * k, k + 64)), kept_(static_cast<std::size_t>(queries * capacity_)),
        counts_(static_cast<std::size_t>(queries)),
        bounds_(static_cast<std::size_t>(queries), -std::numeric_limits<float>::infinity()) {}

  void add(Index query, Neighbour candidate) noexcept {
    Index& count = counts_[static_cast<std::size_t>(query)];
    Neighbour* first = kept(query);
    first[count++] = candidate;
    if (count < capacity_) return;
    std::nth_element(first, first + k_ - 1, first + count);
    count = k_;
    bounds_[static_cast<std::size_t>(query)] = first[k_ - 1].score;
  }
  float bound(Index query) const noexcept { return bounds_[static_cast<std::size_t>(query)]; }

  /// The answer to a query, best first.
  std::vector<Neighbour> sorted(Index query) {
    std::vector<Neighbour> answer(kept(query), kept(query) + counts_[static_cast<std::size_t>(query)]);
    std::sort(answer.begin(), answer.end());
    if (static_cast<Index>(answer.size()) > k_) answer.resize(static_cast<std::size_t>(k_));
    return answer;
  }

 private:
  Neighbour* kept(Index query) noexcept { return kept_.data() + query * capacity_; }

  Index k_, capacity_;
  std::vector<Neighbour> kept_;
  std::vector<Index> counts_;
  std::vector<float> bounds_;
};

/// Epilogue of a product of queries and corpus rows: hands scores on instead of storing them.
struct KeepBest {
  BestNeighbours* best;
  static constexpr Index panel_columns() noexcept { return simd::Tile<float>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<float> (&sums)[V], Index count) const noexcept {
    constexpr Index n = simd::lanes<float>;
    const simd::Vector<float> bound(best->bound(row));
    for (std::size_t v = 0; v < V; ++v) {
      if (!xsimd::any(sums[v] >= bound)) continue;
      alignas(64) float scores[static_cast<std::size_t>(n)];
      sums[v].store_aligned(scores);
      const Index first = static_cast<Index>(v) * n;
      for (Index j = 0; j < std::min(n, count - first); ++j)
        if (scores[j] >= best->bound(row)) best->add(row, {column + first + j, scores[j]});
    }
  }
};

}  // namespace detail

/// The k rows of the corpus with the largest inner product with each query, best first; of equal scores the row with
/// the lower number comes first. With unit rows the score is the cosine. The matrix of all scores is never there.
///
/// Shapes  queries [Q, D], corpus [N, D] without gaps between rows -> Q answers of min(k, N) neighbours; a score that is
///         not a number is never found. excluded: empty, or for each query a row that is no answer to it, -1 for none
/// Order   a score is one chain of multiply-adds in rising d: bits do not depend on the executor or the other queries
/// Cost    2 Q N D operations; k values of memory a query in flight
/// Errors  ShapeError when shapes differ or k < 1
inline std::vector<std::vector<Neighbour>> nearest_neighbours(Rows<const float> queries, Rows<const float> corpus, Index k,
                                                              ExecutorRef executor, std::span<const Index> excluded = {}) {
  require_equal("nearest_neighbours", "columns of the corpus", corpus.cols, queries.cols);
  if (k < 1) throw ShapeError("nearest_neighbours: k must be at least 1, got " + std::to_string(k));
  if (!excluded.empty())
    require_equal("nearest_neighbours", "excluded rows", static_cast<Index>(excluded.size()), queries.rows);
  k = std::min(k, corpus.rows);
  const Index search_k = excluded.empty() ? k : std::min(k + 1, corpus.rows);
  std::vector<std::vector<Neighbour>> answers(static_cast<std::size_t>(queries.rows));
  if (k == 0) return answers;
  // Enough queries to outweigh the packing of the corpus, few enough that all workers have some.
  const Index share = (queries.rows + 2 * executor.workers() - 1) / (2 * executor.workers());
  const Index block = std::clamp<Index>((share + 5) / 6 * 6, 48, 240);
  executor.parallel_for((queries.rows + block - 1) / block, [&](Index job, Index) {
    const Index first = job * block, count = std::min(block, queries.rows - first);
    detail::BestNeighbours best(count, search_k);
    SerialExecutor serial;
    gemm_nt(queries.middle_rows(first, count), weight_view(corpus), detail::KeepBest{&best}, serial);
    for (Index q = 0; q < count; ++q) {
      std::vector<Neighbour>& answer = answers[static_cast<std::size_t>(first + q)];
      answer = best.sorted(q);
      if (!excluded.empty()) {
        const Index row = excluded[static_cast<std::size_t>(first + q)];
        std::erase_if(answer, [row](const Neighbour& neighbour) { return neighbour.row == row; });
        if (static_cast<Index>(answer.size()) > k) answer.resize(static_cast<std::size_t>(k));
      }
    }
  });
  return answers;
}

}  // namespace embedpool
