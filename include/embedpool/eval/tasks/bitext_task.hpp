#pragma once
#include "embedpool/eval/metrics/classification_scores.hpp"
#include "embedpool/eval/nearest_neighbours.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"
#include "embedpool/eval/unit_rows_of.hpp"

namespace embedpool {

/// Bitext mining: is the translation of a sentence the nearest of all sentences of the other language?
///
///   main  f1, weighted over targets as classes; beside it accuracy, precision and recall
///
/// Nearest by cosine; of equally near ones the first. Items are sentences: 1 where the translation is found, so that
/// their mean is the accuracy.
/// Source  MTEB, BitextMiningEvaluator
class BitextTask {
 public:
  /// Errors  ShapeError when one side has more sentences than the other, or none
  BitextTask(const BitextData& data, TextTable& table) {
    require_equal("BitextTask", "translations", static_cast<Index>(data.second.size()), static_cast<Index>(data.first.size()));
    if (data.first.empty()) throw ShapeError("BitextTask: needs at least one pair");
    for (const std::string& text : data.first) first_.push_back(table.add(text, TextRole::query));
    for (const std::string& text : data.second) second_.push_back(table.add(text, TextRole::query));
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Order   bits do not depend on the executor
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef executor) const {
    detail::require_embeddings("BitextTask", embeddings, first_);
    detail::require_embeddings("BitextTask", embeddings, second_);
    const Matrix<float> first = unit_rows_of(embeddings, first_), second = unit_rows_of(embeddings, second_);
    const auto found = nearest_neighbours(rows_of(first), rows_of(second), 1, executor);
    std::vector<Index> truth, nearest;
    for (std::size_t i = 0; i < found.size(); ++i) {
      truth.push_back(static_cast<Index>(i));
      nearest.push_back(found[i][0].row);
    }
    const ClassificationScores scores = classification_scores(truth, nearest);
    TaskResult result{"f1", {}, {}, "accuracy", "sentence"};
    result.metrics = {{"f1", scores.weighted_f1}, {"accuracy", scores.accuracy}, {"precision", scores.weighted_precision},
                      {"recall", scores.weighted_recall}};
    for (std::size_t i = 0; i < truth.size(); ++i) result.item_scores.push_back(truth[i] == nearest[i] ? 1 : 0);
    return result;
  }

 private:
  std::vector<Index> first_, second_;
};

}  // namespace embedpool
