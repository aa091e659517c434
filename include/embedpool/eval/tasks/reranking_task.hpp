#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/metrics/average_precision.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool {

/// Reranking: are the candidates that answer a query nearer to it than the others? Of several wordings of a query the
/// nearest counts.
///
///   main  map, the mean average precision by cosine; beside it mrr_at_10 (equal scores: positives first)
///
/// Items are queries: their average precision.
/// Source  MTEB, RerankingEvaluator
class RerankingTask {
 public:
  RerankingTask(const RerankingData& data, TextTable& table) {
    for (const RerankingData::Query& query : data.queries) {
      Query rows;
      for (const std::string& text : query.wordings) rows.wordings.push_back(table.add(text, TextRole::query));
      for (const std::string& text : query.positives) rows.candidates.push_back(table.add(text, TextRole::document));
      for (const std::string& text : query.negatives) rows.candidates.push_back(table.add(text, TextRole::document));
      rows.labels.assign(rows.candidates.size(), 0);
      std::fill_n(rows.labels.begin(), query.positives.size(), 1);
      queries_.push_back(std::move(rows));
    }
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef /*executor*/) const {
    TaskResult result{"map", {}, {}, "map", "query"};
    std::vector<double> reciprocal_ranks;
    for (const Query& query : queries_) {
      detail::require_embeddings("RerankingTask", embeddings, query.wordings);
      detail::require_embeddings("RerankingTask", embeddings, query.candidates);
      std::vector<double> scores;
      for (const Index candidate : query.candidates) {
        double best = -1;
        for (const Index wording : query.wordings)
          best = std::max(best, cosine_similarity(embeddings.row(wording), embeddings.row(candidate)));
        scores.push_back(best);
      }
      result.item_scores.push_back(average_precision(query.labels, scores));
      reciprocal_ranks.push_back(reciprocal_rank(query.labels, scores, 10));
    }
    result.metrics = {{"map", mean_of(result.item_scores)}, {"mrr_at_10", mean_of(reciprocal_ranks)}};
    return result;
  }

 private:
  struct Query {
    std::vector<Index> wordings, candidates;
    std::vector<int> labels;
  };
  std::vector<Query> queries_;
};

}  // namespace embedpool
