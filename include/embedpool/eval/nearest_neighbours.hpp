#pragma once
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/search/best_neighbours.hpp"

namespace embedpool {

namespace detail {

/// How a search is cut into jobs: blocks of queries, and where there are too few queries for all workers, parts of the
/// corpus.
struct SearchPlan {
  Index block, blocks, part, parts;

  SearchPlan(Index queries, Index corpus_rows, Index workers) noexcept {
    // A block goes through the whole corpus: enough queries to outweigh fetching and packing it, few enough for their
    // values and best neighbours to stay in the second cache.
    constexpr Index fewest = 48, most = 240, shortest_part = 4096;
    blocks = (queries + most - 1) / most;
    if (queries >= fewest * workers) blocks = (blocks + workers - 1) / workers * workers;
    block = ((queries + blocks - 1) / blocks + 5) / 6 * 6;
    blocks = (queries + block - 1) / block;
    parts = blocks >= workers ? 1 : std::clamp<Index>(corpus_rows / shortest_part, 1, (2 * workers + blocks - 1) / blocks);
    part = (corpus_rows + parts - 1) / parts;
  }
};

}  // namespace detail

/// The k rows of the corpus with the largest inner product with each query, best first; of equal scores the row with
/// the lower number comes first. With unit rows the score is the cosine. The matrix of all scores is never there.
///
/// Shapes  queries [Q, D], corpus [N, D] without gaps between rows -> Q answers of min(k, N) neighbours; a score that is
///         not a number is never found. excluded: empty, or for each query a row that is no answer to it, -1 for none
/// Order   a score is one chain of multiply-adds in rising d: bits do not depend on the executor or the other queries
/// Cost    2 Q N D operations; 2 k numbers of memory a query in flight
/// Errors  ShapeError when shapes differ, k < 1 or N >= 2^32
inline std::vector<std::vector<Neighbour>> nearest_neighbours(Rows<const float> queries, Rows<const float> corpus, Index k,
                                                              ExecutorRef executor, std::span<const Index> excluded = {}) {
  require_equal("nearest_neighbours", "columns of the corpus", corpus.cols, queries.cols);
  require_in("nearest_neighbours", "rows of the corpus", corpus.rows, 0, (Index(1) << 32) - 1);
  if (k < 1) throw ShapeError("nearest_neighbours: k must be at least 1, got " + std::to_string(k));
  if (!excluded.empty())
    require_equal("nearest_neighbours", "excluded rows", static_cast<Index>(excluded.size()), queries.rows);
  k = std::min(k, corpus.rows);
  const Index search_k = excluded.empty() ? k : std::min(k + 1, corpus.rows);
  std::vector<std::vector<Neighbour>> answers(static_cast<std::size_t>(queries.rows));
  if (k == 0 || queries.rows == 0) return answers;
  const detail::SearchPlan plan(queries.rows, corpus.rows, executor.workers());
  // The best of each part of the corpus, of each query.
  std::vector<std::vector<std::vector<Neighbour>>> found(static_cast<std::size_t>(plan.parts), answers);
  std::vector<std::optional<detail::BestNeighbours>> kept(static_cast<std::size_t>(executor.workers()));
  executor.parallel_for(plan.blocks * plan.parts, [&](Index job, Index worker) {
    const Index first = job / plan.parts * plan.block, count = std::min(plan.block, queries.rows - first);
    const Index first_row = job % plan.parts * plan.part, rows = std::min(plan.part, corpus.rows - first_row);
    if (rows <= 0) return;
    auto& best = kept[static_cast<std::size_t>(worker)];
    if (best) best->clear();
    else best.emplace(plan.block, search_k);
    SerialExecutor serial;
    gemm_nt(queries.middle_rows(first, count), weight_view(corpus.middle_rows(first_row, rows)),
            detail::KeepBest{&*best, first_row}, serial);
    for (Index q = 0; q < count; ++q)
      found[static_cast<std::size_t>(job % plan.parts)][static_cast<std::size_t>(first + q)] = best->sorted(q);
  });
  for (std::size_t q = 0; q < answers.size(); ++q) {
    std::vector<Neighbour>& answer = answers[q];
    answer = std::move(found[0][q]);
    for (std::size_t part = 1; part < found.size(); ++part)
      answer.insert(answer.end(), found[part][q].begin(), found[part][q].end());
    if (found.size() > 1) std::sort(answer.begin(), answer.end());
    if (!excluded.empty()) std::erase_if(answer, [&](const Neighbour& neighbour) { return neighbour.row == excluded[q]; });
    if (static_cast<Index>(answer.size()) > k) answer.resize(static_cast<std::size_t>(k));
  }
  return answers;
}

}  // namespace embedpool
