#pragma once
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "embedpool/eval/metrics/mean_of.hpp"

namespace embedpool {

namespace detail {

/// Positions of the scores from the largest to the smallest, equal ones as they came. Errors: ShapeError when lengths
/// differ or a score is NaN.
inline std::vector<std::size_t> falling_order(const char* where, std::span<const int> labels,
                                              std::span<const double> scores) {
  require_equal(where, "scores", static_cast<Index>(scores.size()), static_cast<Index>(labels.size()));
  for (const double score : scores)
    if (std::isnan(score)) throw ShapeError(std::string(where) + ": a score is not a number");
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return order;
}

}  // namespace detail

/// The precision at each positive: among all items that score at least as much as it, the share of positives. In the
/// order of the positives in `labels`. Their mean is the average precision, so they pair two models item by item.
///
/// Errors  ShapeError when lengths differ, or a score is NaN
inline std::vector<double> precision_at_positives(std::span<const int> labels, std::span<const double> scores) {
  const auto order = detail::falling_order("precision_at_positives", labels, scores);
  std::vector<double> of_item(labels.size());
  double positives = 0;
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first;
    for (; end < order.size() && scores[order[end]] == scores[order[first]]; ++end) positives += labels[order[end]] != 0;
    for (std::size_t i = first; i < end; ++i) of_item[order[i]] = positives / static_cast<double>(end);
    first = end;
  }
  std::vector<double> precisions;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != 0) precisions.push_back(of_item[i]);
  return precisions;
}

/// Average precision of scores against binary labels.
///
///   AP = sum over thresholds n, from the largest, of (R_n - R_{n-1}) P_n
///
/// with precision P and recall R of all items that score at least the threshold: equal scores share one.
/// Errors  ShapeError when lengths differ, a score is NaN or nothing is positive
/// Source  scikit-learn's average_precision_score, which MTEB uses for pair classification and reranking
inline double average_precision(std::span<const int> labels, std::span<const double> scores) {
  const std::vector<double> precisions = precision_at_positives(labels, scores);
  if (precisions.empty()) throw ShapeError("average_precision: no label is positive");
  return mean_of(precisions);
}

/// 1 / rank of the first positive among the k best, 0 when none is there. Equal scores keep their order.
///
/// Source  MTEB's reranking, whose mean over queries is MRR@k
inline double reciprocal_rank(std::span<const int> labels, std::span<const double> scores, std::size_t k) {
  const auto order = detail::falling_order("reciprocal_rank", labels, scores);
  for (std::size_t i = 0; i < std::min(k, order.size()); ++i)
    if (labels[order[i]] != 0) return 1 / static_cast<double>(i + 1);
  return 0;
}

}  // namespace embedpool
