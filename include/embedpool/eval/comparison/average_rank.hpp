#pragma once
#include <algorithm>
#include <numeric>
#include <vector>

#include "embedpool/eval/comparison/comparison_family.hpp"
#include "embedpool/eval/spearman.hpp"

namespace embedpool {

/// The rank of each system, 1 the best, averaged over the tasks; scores are means over seeds, and equal ones share the
/// mean of their ranks.
///
/// Errors  ShapeError without a task
/// Source  Demsar, "Statistical comparisons of classifiers over multiple data sets", 2006
inline std::vector<double> average_rank_of_systems(const ScoreTable& table, const std::vector<Index>& tasks) {
  require_in("average_rank_of_systems", "tasks", static_cast<Index>(tasks.size()), 1, 1 << 16);
  std::vector<double> ranks(table.systems().size(), 0.0);
  for (const Index t : tasks) {
    std::vector<double> losses;
    for (Index s = 0; s < table.system_count(); ++s) losses.push_back(-table.mean(s, t));
    const std::vector<double> of_task = average_ranks(losses);
    for (std::size_t s = 0; s < ranks.size(); ++s) ranks[s] += of_task[s] / static_cast<double>(tasks.size());
  }
  return ranks;
}

/// Groups of systems that the family does not tell apart: longest runs of neighbours in the order of ranks in which no
/// pair differs significantly, each of two or more, the best first. They are the bars of a critical-difference diagram.
///
/// Two systems that do not differ, but have a system between them that differs from one, share no group.
inline std::vector<std::vector<int>> groups_not_told_apart(const std::vector<double>& ranks, const ComparisonFamily& family,
                                                           double alpha) {
  std::vector<int> order(ranks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return ranks[static_cast<std::size_t>(a)] < ranks[static_cast<std::size_t>(b)]; });
  std::vector<std::vector<int>> groups;
  std::size_t covered = 0;  // end of the last group
  for (std::size_t first = 0; first < order.size(); ++first) {
    std::size_t end = first + 1;
    const auto joins = [&](std::size_t candidate) {
      for (std::size_t i = first; i < candidate; ++i)
        if (family.sign(order[i], order[candidate], alpha) != 0) return false;
      return true;
    };
    while (end < order.size() && joins(end)) ++end;
    if (end - first < 2 || end <= covered) continue;
    groups.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(first), order.begin() + static_cast<std::ptrdiff_t>(end));
    covered = end;
  }
  return groups;
}

}  // namespace embedpool
