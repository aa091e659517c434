#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// A ranked answer to one query as the metrics below see it.
///
///   ranked   the grade of each document found, best first; 0 where it was not judged
///   judged   the grades of all judged documents, found or not, in any order
///
/// A document is relevant when its grade is above 0. A query without a relevant document scores 0, and counts in the
/// mean over queries. How ties among scores are ranked is decided before: score falling, then document id falling.
/// Source  trec_eval as pytrec_eval binds it, which MTEB uses
struct RankedGrades {
  std::span<const int> ranked;
  std::span<const int> judged;

  double relevant() const noexcept {
    return static_cast<double>(std::count_if(judged.begin(), judged.end(), [](int grade) { return grade > 0; }));
  }
  /// Relevant documents among the first k.
  double hits(std::size_t k) const noexcept {
    const auto end = ranked.begin() + static_cast<Index>(std::min(k, ranked.size()));
    return static_cast<double>(std::count_if(ranked.begin(), end, [](int grade) { return grade > 0; }));
  }
};

namespace detail {
/// sum over the first k ranks, from 1, of grade / log2(rank + 1); grades below 0 count as 0
inline double discounted_gain(std::span<const int> grades, std::size_t k) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < std::min(k, grades.size()); ++i)
    sum += std::max(grades[i], 0) / std::log2(static_cast<double>(i + 2));
  return sum;
}
}  // namespace detail

/// Normalised discounted cumulative gain: DCG@k over that of the best order of all judged documents.
///
///   DCG@k = sum over ranks i = 1..k of grade_i / log2(i + 1)
inline double ndcg_at(const RankedGrades& answer, std::size_t k) {
  std::vector<int> ideal(answer.judged.begin(), answer.judged.end());
  std::sort(ideal.begin(), ideal.end(), std::greater<>());
  const double best = detail::discounted_gain(ideal, k);
  return best > 0 ? detail::discounted_gain(answer.ranked, k) / best : 0;
}

/// Average precision of the first k documents: the precision at the rank of each relevant one found, over the number
/// of all relevant ones. Its mean over queries is MAP@k.
inline double ranked_average_precision(const RankedGrades& answer, std::size_t k) noexcept {
  double hits = 0, sum = 0;
  for (std::size_t i = 0; i < std::min(k, answer.ranked.size()); ++i) {
    if (answer.ranked[i] <= 0) continue;
    hits += 1;
    sum += hits / static_cast<double>(i + 1);
  }
  return sum > 0 ? sum / answer.relevant() : 0;
}

/// Relevant documents among the first k over all relevant ones.
inline double recall_at(const RankedGrades& answer, std::size_t k) noexcept {
  const double relevant = answer.relevant();
  return relevant > 0 ? answer.hits(k) / relevant : 0;
}

/// Relevant documents among the first k over k, also where fewer were found.
///
/// Requires  k > 0
inline double precision_at(const RankedGrades& answer, std::size_t k) noexcept {
  return answer.hits(k) / static_cast<double>(k);
}

/// 1 / rank of the first relevant document among the first k, else 0. Its mean over queries is MRR@k.
inline double reciprocal_rank_at(const RankedGrades& answer, std::size_t k) noexcept {
  for (std::size_t i = 0; i < std::min(k, answer.ranked.size()); ++i)
    if (answer.ranked[i] > 0) return 1 / static_cast<double>(i + 1);
  return 0;
}

}  // namespace embedpool
