#pragma once
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/eval/comparison/comparison_family.hpp"
#include "embedpool/eval/comparison/spread.hpp"

namespace embedpool {

/// Which system to take for a kind of tasks.
struct Recommendation {
  std::string kind;
  Index best = 0;              ///< the highest mean
  std::vector<Index> level{};  ///< those that the data does not tell apart from the best, which is among them
  bool decidable = true;       ///< whether any outcome on so little data could have told systems apart
  Index choice = 0;            ///< the best, or the one with the fewest trained parameters of those that are as good; of
                               ///< equally few the one with the highest mean
  std::string text{};          ///< all this in words
};

namespace detail {

inline std::string listed(const std::vector<Index>& systems, const ScoreTable& table) {
  std::string text;
  for (std::size_t i = 0; i < systems.size(); ++i) {
    if (i > 0) text += i + 1 == systems.size() ? " and " : ", ";
    text += "\"" + table.systems()[static_cast<std::size_t>(systems[i])] + "\"";
  }
  return text;
}

inline std::string score_text(double score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * score);
  return text;
}

/// Whether `best` has the higher mean with every seed.
inline bool always_higher(const ScoreTable& table, const std::vector<Index>& tasks, Index best, Index other) {
  const std::vector<double> a = table.by_seed(best, tasks), b = table.by_seed(other, tasks);
  return std::equal(a.begin(), a.end(), b.begin(), std::greater<>());
}

/// Whether the data says that `best` is better than `other`: with every seed it has the higher mean; and either the test
/// over data sets says so, or the tests inside data sets say so on more than half of them and the contrary on none.
inline bool told_apart(const ScoreTable& table, const std::vector<Index>& tasks, Index best, Index other,
                       const ComparisonFamily& over_sets, const std::vector<ComparisonFamily>& within_sets, double alpha) {
  if (!always_higher(table, tasks, best, other)) return false;
  if (over_sets.sign(best, other, alpha) > 0) return true;
  std::size_t better = 0;
  for (const ComparisonFamily& family : within_sets) {
    const int sign = family.sign(best, other, alpha);
    if (sign < 0) return false;
    better += sign > 0;
  }
  return 2 * better > within_sets.size();
}

}  // namespace detail

/// Recommends the system with the highest mean; or of those that with some seed have a mean as high as its, and are not told
/// apart from it, the one with the fewest trained parameters, and with the highest mean where several train as few. Told
/// apart means: with every seed the best has the higher mean, and it is significantly better over data sets, or inside
/// more than half of them and significantly worse inside none. Where that could not have come out, whatever the scores,
/// few parameters are no argument, and the text says so.
///
/// `over_sets` is the family over the kind's data sets, `within_sets` one family a data set; `parameters` are trained ones
/// of each system.
/// Errors  ShapeError when the kind has no task, or the numbers of families or parameters do not fit
inline Recommendation recommend(const ScoreTable& table, const std::string& kind, const ComparisonFamily& over_sets,
                                const std::vector<ComparisonFamily>& within_sets, const std::vector<Index>& parameters,
                                double alpha) {
  const std::vector<Index> tasks = table.tasks_of(kind);
  require_in("recommend", "tasks of the kind", static_cast<Index>(tasks.size()), 1, 1 << 16);
  require_equal("recommend", "families", static_cast<Index>(within_sets.size()), static_cast<Index>(tasks.size()));
  require_equal("recommend", "numbers of parameters", static_cast<Index>(parameters.size()), table.system_count());
  std::vector<double> means;
  for (Index s = 0; s < table.system_count(); ++s) means.push_back(spread_of(table.by_seed(s, tasks)).mean);
  Recommendation result{kind};
  result.best = std::max_element(means.begin(), means.end()) - means.begin();
  std::vector<Index> worse, others;
  for (Index s = 0; s < table.system_count(); ++s) {
    if (s != result.best && detail::told_apart(table, tasks, result.best, s, over_sets, within_sets, alpha)) {
      worse.push_back(s);
      continue;
    }
    result.level.push_back(s);
    if (s != result.best) others.push_back(s);
  }
  std::size_t decidable_sets = 0;
  for (const ComparisonFamily& family : within_sets) decidable_sets += family.can_decide(alpha);
  result.decidable = over_sets.can_decide(alpha) || 2 * decidable_sets > within_sets.size();
  result.choice = result.best;
  const auto size = [&](Index s) { return parameters[static_cast<std::size_t>(s)]; };
  // Designs that differ in the mask alone train equally many parameters.
  const auto cost = [&](Index s) { return std::pair(size(s), -means[static_cast<std::size_t>(s)]); };
  bool cheaper_but_lower = false;
  for (const Index s : others) {
    if (!result.decidable || size(s) >= size(result.best)) continue;
    if (detail::always_higher(table, tasks, result.best, s))
      cheaper_but_lower = true;
    else if (cost(s) < cost(result.choice))
      result.choice = s;
  }

  const auto scored = [&](Index s) {
    return detail::listed({s}, table) + " (" + detail::score_text(means[static_cast<std::size_t>(s)]) + ")";
  };
  std::string& text = result.text;
  if (table.system_count() == 1) {
    text = scored(0) + ": there is nothing to compare it with.";
    return result;
  }
  if (!result.decidable) {
    text = "Too little data to tell any two systems apart, whatever the scores: " + scored(result.best) +
           " has the highest mean, which may be chance.";
    return result;
  }
  if (worse.empty()) {
    text = "No difference that this data can show between the " + std::to_string(table.system_count()) + " systems: " +
           scored(result.best) + " has the highest mean, and is told apart from none of the others.";
  } else if (others.empty()) {
    text = scored(result.best) + " is better than all others: " + detail::listed(worse, table) + ".";
  } else {
    text = scored(result.best) + " has the highest mean, and is better than " + detail::listed(worse, table) +
           "; no difference that this data can show to " + detail::listed(others, table) + ".";
  }
  if (!others.empty())
    text += " Of these take " + scored(result.choice) +
            (result.choice != result.best ? ", which trains fewer parameters and is as good with some seed."
             : cheaper_but_lower          ? ": those that train fewer parameters are lower with every seed."
                                          : ", as none trains fewer parameters.");
  if (table.seeds() == 1) text += " One seed: how much another would change is not known.";
  return result;
}

}  // namespace embedpool
