#pragma once
#include <map>
#include <span>

#include "embedpool/eval/metrics/average_precision.hpp"

namespace embedpool {

/// Scores of predicted classes against the true ones; bitext mining is scored by them too, each target being a class.
///
///   precision P = hits / predicted, recall R = hits / true, F1 = 2 P R / (P + R), of each class; 0 where it is 0 / 0
///
/// "macro" is the mean over the classes that occur in either list, "weighted" that over the true items: each class
/// counts as often as it is true.
struct ClassificationScores {
  double accuracy = 0;
  double macro_f1 = 0;
  double weighted_f1 = 0;
  double weighted_precision = 0;
  double weighted_recall = 0;
};

/// Errors  ShapeError when lengths differ or are 0
/// Source  scikit-learn's accuracy_score, f1_score, precision_score and recall_score with zero_division 0
inline ClassificationScores classification_scores(std::span<const Index> truth, std::span<const Index> predicted) {
  require_equal("classification_scores", "predictions", static_cast<Index>(predicted.size()),
                static_cast<Index>(truth.size()));
  if (truth.empty()) throw ShapeError("classification_scores: needs at least one item");
  struct Counts {
    double hits = 0, truth = 0, predicted = 0;
  };
  std::map<Index, Counts> classes;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    classes[truth[i]].truth += 1;
    classes[predicted[i]].predicted += 1;
    if (truth[i] == predicted[i]) classes[truth[i]].hits += 1;
  }
  const double n = static_cast<double>(truth.size());
  ClassificationScores scores;
  for (const auto& entry : classes) {
    const Counts& c = entry.second;
    const double precision = c.predicted > 0 ? c.hits / c.predicted : 0, recall = c.truth > 0 ? c.hits / c.truth : 0;
    const double f1 = 2 * c.hits / (c.truth + c.predicted);  // = 2 P R / (P + R); a class occurs somewhere
    scores.accuracy += c.hits / n;
    scores.macro_f1 += f1 / static_cast<double>(classes.size());
    scores.weighted_f1 += f1 * c.truth / n;
    scores.weighted_precision += precision * c.truth / n;
    scores.weighted_recall += recall * c.truth / n;
  }
  return scores;
}

/// Average precision with the predicted classes, 0 or 1, as scores: what MTEB reports as `ap` of tasks with two classes.
/// No probabilities enter, so it has one threshold only.
///
/// Errors  ShapeError when lengths differ or class 1 is never true
inline double average_precision_of_predictions(std::span<const Index> truth, std::span<const Index> predicted) {
  std::vector<int> labels;
  for (const Index label : truth) labels.push_back(label == 1);
  return average_precision(labels, std::vector<double>(predicted.begin(), predicted.end()));
}

}  // namespace embedpool
