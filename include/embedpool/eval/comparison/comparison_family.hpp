#pragma once
#include <string>
#include <utility>
#include <vector>

#include "embedpool/eval/comparison/score_table.hpp"
#include "embedpool/eval/significance/comparison.hpp"

namespace embedpool {

/// All pairs of systems compared on the same items, p-values corrected together by Holm.
struct ComparisonFamily {
  std::string scope;  ///< what was compared: a kind of tasks, all, or a data set
  std::string items;  ///< what a pair of scores belongs to, in the plural: "data sets", "queries"
  std::vector<std::pair<Index, Index>> pairs{};  ///< numbers of systems, the first smaller
  std::vector<Comparison> comparisons{};         ///< of each pair

  /// The smallest adjusted p that each comparison could have, had all differences of all pairs their most telling signs:
  /// Holm's correction of the smallest p-values.
  std::vector<double> smallest_adjusted_p() const {
    std::vector<double> smallest;
    for (const Comparison& comparison : comparisons) smallest.push_back(comparison.test.smallest_p(comparison.alternative));
    return holm_adjusted(smallest);
  }

  /// `impossible` where no outcome on so few items would have been significant after the correction.
  Verdict verdict(std::size_t comparison, double alpha) const {
    if (smallest_adjusted_p()[comparison] > alpha) return Verdict::impossible;
    return comparisons[comparison].adjusted_p <= alpha ? Verdict::significant : Verdict::not_significant;
  }

  /// +1: the system `first` is significantly better than `second`, -1: worse, 0: neither can be said.
  int sign(Index first, Index second, double alpha) const {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const bool forward = pairs[i] == std::pair(first, second), backward = pairs[i] == std::pair(second, first);
      if ((!forward && !backward) || verdict(i, alpha) != Verdict::significant) continue;
      return (comparisons[i].test.rank_biserial() > 0) == forward ? 1 : -1;
    }
    return 0;
  }

  bool can_decide(double alpha) const {
    for (std::size_t i = 0; i < comparisons.size(); ++i)
      if (verdict(i, alpha) != Verdict::impossible) return true;
    return false;
  }

  /// Why no pair can be called different, in words; empty where one could be.
  std::string limit(double alpha) const {
    if (comparisons.empty() || can_decide(alpha)) return {};
    Index most = 0;
    for (const Comparison& comparison : comparisons) most = std::max(most, comparison.test.n);
    const std::vector<double> smallest = smallest_adjusted_p();
    char text[400];
    std::snprintf(text, sizeof text,
                  "no difference can be significant at %.3g, whatever the scores: with n = %td %s at most on which a pair of "
                  "systems differs, and Holm's correction for %zu such pairs, p cannot be below %.3g",
                  alpha, most, items.c_str(), comparisons.size(), *std::min_element(smallest.begin(), smallest.end()));
    return text;
  }
};

namespace detail {

/// `scores` of each system on the same items.
inline ComparisonFamily compared(std::string scope, std::string items, const ScoreTable& table,
                                 const std::vector<std::vector<double>>& scores, ExecutorRef executor,
                                 const BootstrapOptions& bootstrap) {
  ComparisonFamily family{std::move(scope), std::move(items)};
  for (std::size_t a = 0; a < scores.size(); ++a)
    for (std::size_t b = a + 1; b < scores.size(); ++b) {
      family.pairs.emplace_back(static_cast<Index>(a), static_cast<Index>(b));
      family.comparisons.push_back(compare_paired(table.systems()[a], scores[a], table.systems()[b], scores[b], executor,
                                                  Alternative::two_sided, bootstrap));
    }
  adjust_family(family.comparisons);
  return family;
}

}  // namespace detail

/// The paper's comparison: each data set is one item, its score the mean over seeds.
///
/// Errors  ShapeError without a task
/// Source  arXiv:2409.02727, Wilcoxon's signed-rank test over data sets
inline ComparisonFamily compare_over_data_sets(const ScoreTable& table, const std::vector<Index>& tasks, std::string scope,
                                               ExecutorRef executor, const BootstrapOptions& bootstrap = {}) {
  std::vector<std::vector<double>> scores(table.systems().size());
  for (Index s = 0; s < table.system_count(); ++s)
    for (const Index t : tasks) scores[static_cast<std::size_t>(s)].push_back(table.mean(s, t));
  return detail::compared(std::move(scope), "data sets", table, scores, executor, bootstrap);
}

/// Inside one data set: each query, pair or text is one item, its score the mean over seeds. What it says holds for these
/// trained systems on texts like these; how much other seeds would change is in the spread, not in the p-value.
///
/// Errors  ShapeError when the data set has no items
inline ComparisonFamily compare_within_data_set(const ScoreTable& table, Index task, ExecutorRef executor,
                                                const BootstrapOptions& bootstrap = {}) {
  std::vector<std::vector<double>> scores;
  for (Index s = 0; s < table.system_count(); ++s) scores.push_back(table.mean_items(s, task));
  const ComparedTask& of = table.tasks()[static_cast<std::size_t>(task)];
  const bool ends_in_y = !of.item.empty() && of.item.back() == 'y';  // query
  const std::string items = ends_in_y ? of.item.substr(0, of.item.size() - 1) + "ies" : of.item + "s";
  return detail::compared(of.name, items, table, scores, executor, bootstrap);
}

}  // namespace embedpool
