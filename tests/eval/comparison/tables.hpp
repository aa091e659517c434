#pragma once
// Tables and families of comparisons for tests, filled by hand.
#include <string>
#include <vector>

#include "embedpool/core/executor.hpp"
#include "embedpool/eval/comparison/comparison_family.hpp"

namespace embedpool::test {

/// Systems A, B, ... with scores[system][task], equal for each of `seeds` seeds, and these scores as the only items.
inline ScoreTable table_of(const std::vector<std::vector<double>>& scores, Index seeds = 1, const std::string& kind = "sts") {
  std::vector<std::string> systems;
  std::vector<ComparedTask> tasks;
  for (std::size_t s = 0; s < scores.size(); ++s) systems.push_back(std::string(1, static_cast<char>('A' + s)));
  for (std::size_t t = 0; t < scores[0].size(); ++t)
    tasks.push_back({kind, "set" + std::to_string(t), "cosine_spearman", "query", "cosine_spearman"});
  ScoreTable table(systems, tasks, seeds);
  for (std::size_t s = 0; s < scores.size(); ++s)
    for (std::size_t t = 0; t < scores[s].size(); ++t)
      for (Index k = 0; k < seeds; ++k)
        table.add(static_cast<Index>(s), static_cast<Index>(t), k, scores[s][t], {scores[s][t]});
  return table;
}

/// A family of `systems` systems on so many items that all can be decided, in which no pair differs.
inline ComparisonFamily undecided(int systems) {
  ComparisonFamily family{"sts", "queries"};
  for (Index a = 0; a < systems; ++a)
    for (Index b = a + 1; b < systems; ++b) {
      family.pairs.emplace_back(a, b);
      Comparison comparison;
      comparison.test.n = 40;
      comparison.test.w_plus = comparison.test.w_minus = 410;
      family.comparisons.push_back(comparison);
    }
  return family;
}

/// Makes `better` significantly better than `worse`.
inline void decide(ComparisonFamily& family, Index better, Index worse) {
  for (std::size_t i = 0; i < family.pairs.size(); ++i) {
    const auto [a, b] = family.pairs[i];
    if (!(a == better && b == worse) && !(a == worse && b == better)) continue;
    family.comparisons[i].adjusted_p = 0.001;
    family.comparisons[i].test.w_plus = a == better ? 800 : 20;
    family.comparisons[i].test.w_minus = a == better ? 20 : 800;
  }
}

}  // namespace embedpool::test
