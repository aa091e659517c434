#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/metrics/summarization.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/require_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool {

/// Summarization: are machine summaries near to one that people wrote when people rate them well?
///
///   main  cosine_spearman: of each article, Spearman's correlation of the ratings with the largest cosine to a human
///         summary; the mean over articles whose ratings and cosines vary
///   beside it cosine_pearson, and cosine_spearman_mteb_v1, which averages p-values in: the published SummEval numbers
///
/// Items are the articles whose ratings vary: their correlation, 0 where the cosines do not vary.
/// Source  MTEB, SummarizationEvaluator and DeprecatedSummarizationEvaluator
class SummarizationTask {
 public:
  /// Errors  ShapeError when a rating is no number, or not each machine summary has one
  SummarizationTask(const SummarizationData& data, TextTable& table) {
    for (const SummarizationData::Article& article : data.articles) {
      detail::require_scores("SummarizationTask", article.relevance);
      require_equal("SummarizationTask", "ratings", static_cast<Index>(article.relevance.size()),
                    static_cast<Index>(article.machine.size()));
      Article rows{{}, {}, article.relevance};
      for (const std::string& text : article.human) rows.human.push_back(table.add(text, TextRole::query));
      for (const std::string& text : article.machine) rows.machine.push_back(table.add(text, TextRole::query));
      articles_.push_back(std::move(rows));
    }
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef /*executor*/) const {
    TaskResult result{"cosine_spearman", {}, {}, "cosine_spearman", "article"};
    std::vector<std::vector<double>> scores, ratings;
    bool is_defined = false;
    for (const Article& article : articles_) {
      detail::require_embeddings("SummarizationTask", embeddings, article.human);
      detail::require_embeddings("SummarizationTask", embeddings, article.machine);
      scores.emplace_back();
      ratings.push_back(article.relevance);
      for (const Index machine : article.machine) {
        double best = -1;
        for (const Index human : article.human)
          best = std::max(best, cosine_similarity(embeddings.row(machine), embeddings.row(human)));
        scores.back().push_back(best);
      }
      const double r = spearman(scores.back(), ratings.back());
      is_defined |= !std::isnan(r);
      if (std::adjacent_find(article.relevance.begin(), article.relevance.end(), std::not_equal_to<>()) != article.relevance.end())
        result.item_scores.push_back(detail::defined_or_zero(r));
    }
    SummarizationScores summary;
    if (is_defined) summary = summarization_scores(scores, ratings);
    result.metrics = {{"cosine_spearman", summary.spearman}, {"cosine_pearson", summary.pearson},
                      {"cosine_spearman_mteb_v1", summary.spearman_mteb_v1}};
    return result;
  }

 private:
  struct Article {
    std::vector<Index> human, machine;
    std::vector<double> relevance;
  };
  std::vector<Article> articles_;
};

}  // namespace embedpool
