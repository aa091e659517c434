#pragma once
#include "embedpool/eval/metrics/average_precision.hpp"

namespace embedpool {

/// A score and the threshold on a similarity that reaches it: pairs at or above it are called positive.
struct ThresholdScore {
  double value = 0;
  double threshold = 0;
};

namespace detail {

/// The best of `value(positives above, items above)` over all cuts of the sorted scores but behind the last: the first
/// maximum above `start` wins, the threshold lies midway between the scores on both sides of the cut.
template <class Value>
ThresholdScore best_cut(const char* where, std::span<const int> labels, std::span<const double> scores, double threshold,
                        const Value& value) {
  const auto order = falling_order(where, labels, scores);
  ThresholdScore best{0, threshold};
  double positives = 0;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    positives += labels[order[i]] != 0;
    const double now = value(positives, static_cast<double>(i + 1));
    if (now > best.value) best = {now, (scores[order[i]] + scores[order[i + 1]]) / 2};
  }
  return best;
}

}  // namespace detail

/// Largest accuracy that a threshold on the scores reaches.
///
///   accuracy = (positives above + negatives below) / n
///
/// Cuts between equal scores count too, in the order of the items, and the cut behind the last item does not: so MTEB
/// has it, and its numbers are met. Without any cut (fewer than 2 items) value 0, threshold -1.
/// Errors  ShapeError when lengths differ, or a score is NaN
/// Source  MTEB, PairClassificationEvaluator.find_best_acc_and_threshold
inline ThresholdScore best_accuracy(std::span<const int> labels, std::span<const double> scores) {
  const auto negatives = static_cast<double>(std::count(labels.begin(), labels.end(), 0));
  const auto n = static_cast<double>(labels.size());
  return detail::best_cut("best_accuracy", labels, scores, -1,
                          [&](double hits, double above) { return (hits + negatives - (above - hits)) / n; });
}

/// Largest F1 of the positives that a threshold on the scores reaches.
///
///   F1 = 2 P R / (P + R)
///
/// Cuts and errors as in best_accuracy; without any hit value 0, threshold 0.
/// Source  MTEB, PairClassificationEvaluator.find_best_f1_and_threshold
inline ThresholdScore best_f1(std::span<const int> labels, std::span<const double> scores) {
  const auto positives = static_cast<double>(labels.size()) - static_cast<double>(std::count(labels.begin(), labels.end(), 0));
  return detail::best_cut("best_f1", labels, scores, 0, [&](double hits, double above) {
    if (hits == 0) return 0.0;
    const double precision = hits / above, recall = hits / positives;
    return 2 * precision * recall / (precision + recall);
  });
}

}  // namespace embedpool
