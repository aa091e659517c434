#pragma once
#include <span>
#include <vector>

#include "embedpool/eval/metrics/mean_of.hpp"
#include "embedpool/eval/metrics/student_t.hpp"
#include "embedpool/eval/spearman.hpp"

namespace embedpool {

/// The p-value of a rank correlation r of n items, two-sided, by Student's t with n - 2 degrees of freedom.
///
///   t = r sqrt((n - 2) / ((1 + r) (1 - r)))
///
/// Requires  n > 2
/// Source    scipy.stats.spearmanr, pearsonr to rounding
inline double correlation_p_value(double r, double n) noexcept {
  const double rest = (1 + r) * (1 - r);
  if (rest <= 0) return 0;
  return student_t_two_sided(r * std::sqrt((n - 2) / rest), n - 2);
}

/// What summarization reports, over articles whose ratings and scores both vary.
struct SummarizationScores {
  std::vector<double> per_article;  ///< Spearman's correlation of scores and human ratings
  double spearman = 0;              ///< the mean of per_article: the definition, MTEB's SummEvalSummarization.v2
  /// The mean of all correlations *and their p-values*: an error of MTEB's first version (its issue 1156), kept because
  /// the published SummEval numbers near 30 hold it.
  double spearman_mteb_v1 = 0;
  double pearson = 0;  ///< mean of Pearson's correlations
};

/// Correlates the scores of the summaries of each article with their human ratings. Articles whose scores or ratings are
/// all equal have no correlation, and are left out as in MTEB.
///
/// Shapes  scores and ratings: for each article a value for each machine summary, at least 3
/// Errors  ShapeError when shapes differ or no article is left
inline SummarizationScores summarization_scores(const std::vector<std::vector<double>>& scores,
                                                const std::vector<std::vector<double>>& ratings) {
  require_equal("summarization_scores", "rated articles", static_cast<Index>(ratings.size()),
                static_cast<Index>(scores.size()));
  std::vector<double> pearsons, with_p_values;
  SummarizationScores result;
  for (std::size_t a = 0; a < scores.size(); ++a) {
    if (scores[a].size() < 3)
      throw ShapeError("summarization_scores: article " + std::to_string(a) + " has fewer than 3 summaries");
    const double r = spearman(scores[a], ratings[a]);
    if (std::isnan(r)) continue;
    result.per_article.push_back(r);
    pearsons.push_back(pearson(scores[a], ratings[a]));
    with_p_values.push_back(r);
    with_p_values.push_back(correlation_p_value(r, static_cast<double>(scores[a].size())));
  }
  if (result.per_article.empty()) throw ShapeError("summarization_scores: no article has ratings and scores that vary");
  result.spearman = mean_of(result.per_article);
  result.spearman_mteb_v1 = mean_of(with_p_values);
  result.pearson = mean_of(pearsons);
  return result;
}

}  // namespace embedpool
