#pragma once
#include <cstdio>
#include <string>
#include <vector>

#include "embedpool/eval/metrics/mean_of.hpp"
#include "embedpool/eval/significance/bootstrap.hpp"
#include "embedpool/eval/significance/holm.hpp"
#include "embedpool/eval/significance/wilcoxon.hpp"

namespace embedpool {

/// What a comparison may say. `impossible`: so few pairs differ that no outcome would be significant, so that "not
/// significant" would say nothing about the models.
enum class Verdict { significant, not_significant, impossible };

/// Two models on the same items: data sets, or the queries, pairs or texts of one data set.
struct Comparison {
  std::string first, second;  ///< names of the models
  double mean_first = 0, mean_second = 0;
  double median_difference = 0;  ///< of first - second
  ConfidenceInterval mean_difference;      ///< bootstrap interval of the mean of first - second, over items
  Alternative alternative = Alternative::two_sided;
  WilcoxonResult test;
  double adjusted_p = 1;  ///< after Holm's correction over the family; the plain p before

  Verdict verdict(double alpha) const noexcept {
    if (test.smallest_p(alternative) > alpha) return Verdict::impossible;
    return adjusted_p <= alpha ? Verdict::significant : Verdict::not_significant;
  }

  /// The verdict as a sentence, with the numbers that it rests on.
  std::string explain(double alpha) const {
    const auto number = [](double value) {
      char text[32];
      std::snprintf(text, sizeof text, "%.3g", value);
      return std::string(text);
    };
    const std::string pairs = std::to_string(test.n) + (test.n == 1 ? " pair differs" : " pairs differ");
    switch (verdict(alpha)) {
      case Verdict::impossible:
        return "no difference between " + first + " and " + second + " can be significant at " + number(alpha) + ": " + pairs +
               ", and the smallest p possible is " + number(test.smallest_p(alternative));
      case Verdict::significant:
        return (test.rank_biserial() >= 0 ? first + " scores higher than " + second : second + " scores higher than " + first) +
               " (p = " + number(adjusted_p) + ", " + pairs + ", rank-biserial " + number(test.rank_biserial()) + ")";
      case Verdict::not_significant: break;
    }
    return "no significant difference between " + first + " and " + second + " (p = " + number(adjusted_p) + ", " + pairs + ")";
  }
};

/// The median, of an even number of values the mean of the middle two. Errors: ShapeError without values.
inline double median_of(std::vector<double> values) {
  if (values.empty()) throw ShapeError("median_of: needs at least one value");
  std::sort(values.begin(), values.end());
  return sorted_quantile(values, 0.5);
}

/// Compares the scores of two models on the same items in the same order.
///
/// Errors  ShapeError when lengths differ, are 0, or a score is not finite
inline Comparison compare_paired(std::string first, std::span<const double> scores_first, std::string second,
                                 std::span<const double> scores_second, ExecutorRef executor,
                                 Alternative alternative = Alternative::two_sided, const BootstrapOptions& bootstrap = {}) {
  const std::vector<double> differences = paired_differences(scores_first, scores_second);
  Comparison comparison{std::move(first), std::move(second), mean_of(scores_first), mean_of(scores_second),
                        median_of(differences), {}, alternative, {}, 1};
  comparison.test = wilcoxon_signed_rank(differences, alternative);
  comparison.mean_difference = bootstrap_mean_interval(differences, executor, bootstrap);
  comparison.adjusted_p = comparison.test.p;
  return comparison;
}

/// Corrects a family of comparisons by Holm. Comparisons that cannot be significant count like the others.
inline void adjust_family(std::vector<Comparison>& family) {
  std::vector<double> p;
  for (const Comparison& comparison : family) p.push_back(comparison.test.p);
  const std::vector<double> adjusted = holm_adjusted(p);
  for (std::size_t i = 0; i < family.size(); ++i) family[i].adjusted_p = adjusted[i];
}

}  // namespace embedpool
