#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/spearman.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/require_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool {

/// Semantic textual similarity: do similarities of embeddings rank pairs as people do?
///
///   main  cosine_spearman; beside it Pearson's, and both for the negative Euclidean and Manhattan distance
///
/// Items are pairs: 1 - 6 d^2 / (n^2 - 1) with d the difference of the pair's two ranks, whose mean is Spearman's
/// correlation where nothing ties. Embeddings whose similarities are all equal score 0.
/// Source  MTEB, STSEvaluator
class StsTask {
 public:
  /// Errors  ShapeError when a score is no number
  StsTask(const StsData& data, TextTable& table) {
    for (const StsData::Pair& pair : data.pairs) {
      first_.push_back(table.add(pair.first, TextRole::query));
      second_.push_back(table.add(pair.second, TextRole::query));
      gold_.push_back(pair.score);
    }
    detail::require_scores("StsTask", gold_);
  }

  /// Shapes  embeddings [rows of the table, D]; scores do not change with the length of the vectors but for the distances
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef /*executor*/) const {
    detail::require_embeddings("StsTask", embeddings, first_);
    detail::require_embeddings("StsTask", embeddings, second_);
    TaskResult result{"cosine_spearman", {}, {}, "cosine_spearman", "pair"};
    const auto correlate = [&](const std::string& name, auto similarity) {
      std::vector<double> scores;
      for (std::size_t i = 0; i < gold_.size(); ++i)
        scores.push_back(similarity(embeddings.row(first_[i]), embeddings.row(second_[i])));
      result.metrics.emplace_back(name + "_spearman", detail::defined_or_zero(spearman(scores, gold_)));
      result.metrics.emplace_back(name + "_pearson", detail::defined_or_zero(pearson(scores, gold_)));
      return scores;
    };
    const std::vector<double> cosine = correlate("cosine", cosine_similarity);
    correlate("euclidean", negative_euclidean);
    correlate("manhattan", negative_manhattan);
    const std::vector<double> ranks = average_ranks(cosine), gold_ranks = average_ranks(gold_);
    const double n = static_cast<double>(gold_.size());
    for (std::size_t i = 0; i < gold_.size(); ++i) {
      const double d = ranks[i] - gold_ranks[i];
      result.item_scores.push_back(1 - 6 * d * d / (n * n - 1));
    }
    return result;
  }

 private:
  std::vector<Index> first_, second_;
  std::vector<double> gold_;
};

}  // namespace embedpool
