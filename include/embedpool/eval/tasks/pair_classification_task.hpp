#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/metrics/best_threshold.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool {

/// Pair classification: do similarities of embeddings tell pairs of one meaning from others?
///
///   main  cosine_ap, the main score of MTEB's first version; beside it ap, best accuracy and best f1 of the cosine, dot
///         product, negative Euclidean and Manhattan distance, and max_ap, the largest ap, the main score since
///
/// Items are the positive pairs: the precision at each by cosine, whose mean is cosine_ap.
/// Source  MTEB, PairClassificationEvaluator
class PairClassificationTask {
 public:
  PairClassificationTask(const PairClassificationData& data, TextTable& table) {
    for (const PairClassificationData::Pair& pair : data.pairs) {
      first_.push_back(table.add(pair.first, TextRole::query));
      second_.push_back(table.add(pair.second, TextRole::query));
      labels_.push_back(pair.label);
    }
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef /*executor*/) const {
    detail::require_embeddings("PairClassificationTask", embeddings, first_);
    detail::require_embeddings("PairClassificationTask", embeddings, second_);
    TaskResult result{"cosine_ap", {}, {}, "cosine_ap", "positive pair"};
    double most = 0;
    const auto measure = [&](const std::string& name, auto similarity) {
      std::vector<double> scores;
      for (std::size_t i = 0; i < labels_.size(); ++i)
        scores.push_back(similarity(embeddings.row(first_[i]), embeddings.row(second_[i])));
      const double ap = average_precision(labels_, scores);
      most = std::max(most, ap);
      result.metrics.emplace_back(name + "_ap", ap);
      result.metrics.emplace_back(name + "_accuracy", best_accuracy(labels_, scores).value);
      result.metrics.emplace_back(name + "_f1", best_f1(labels_, scores).value);
      return scores;
    };
    result.item_scores = precision_at_positives(labels_, measure("cosine", cosine_similarity));
    measure("dot", dot_similarity);
    measure("euclidean", negative_euclidean);
    measure("manhattan", negative_manhattan);
    result.metrics.emplace_back("max_ap", most);
    return result;
  }

 private:
  std::vector<Index> first_, second_;
  std::vector<int> labels_;
};

}  // namespace embedpool
