#include <algorithm>

#include "compare_tables.hpp"
#include "embedpool/eval/comparison/stars.hpp"
#include "embedpool/eval/report/number.hpp"

namespace embedpool::program {
namespace {

using report::Cell;
using report::fixed;
using report::Table;

std::string short_p(double p) {
  char text[64];
  std::snprintf(text, sizeof text, p < 0.001 ? "%.1e" : "%.3f", p);
  return text;
}
std::string verdict_text(Verdict verdict, const Comparison& comparison) {
  switch (verdict) {
    case Verdict::impossible: return "too few to tell";
    case Verdict::not_significant: return "not significant";
    case Verdict::significant: break;
  }
  return (comparison.test.rank_biserial() > 0 ? "first higher " : "second higher ") +
         std::string(stars(comparison.adjusted_p));
}

}  // namespace

Table pair_table(const ComparisonFamily& family, double alpha) {
  const std::string scope =
      family.scope == "all" ? "all " + family.items : "the " + family.items + " of " + family.scope;
  Table result{"Pairs of systems over " + scope + "; differences are first less second, x 100",
               {"first and second", "mean difference", "95 % interval", "median", "n", "rank-biserial", "p", "p (Holm)",
                "verdict"},
               {}};
  for (std::size_t i = 0; i < family.comparisons.size(); ++i) {
    const Comparison& c = family.comparisons[i];
    const Verdict verdict = family.verdict(i, alpha);
    result.rows.push_back({c.first + " – " + c.second, fixed(100 * (c.mean_first - c.mean_second), 2),
                           fixed(100 * c.mean_difference.low, 2) + " to " + fixed(100 * c.mean_difference.high, 2),
                           fixed(100 * c.median_difference, 2), std::to_string(c.test.n),
                           fixed(c.test.rank_biserial(), 2), short_p(c.test.p), short_p(c.adjusted_p),
                           Cell{verdict_text(verdict, c), verdict == Verdict::significant}});
  }
  return result;
}

Table item_table(const ScoreTable& table, const std::vector<ComparisonFamily>& by_task, double alpha) {
  Table result{"Inside each data set: mean item score x 100 of the highest (bold), and of the others less that",
               {"data set", "items"},
               {}};
  result.columns.insert(result.columns.end(), table.systems().begin(), table.systems().end());
  for (Index t = 0; t < table.task_count(); ++t) {
    const ComparisonFamily& family = by_task[static_cast<std::size_t>(t)];
    std::vector<double> means;
    std::size_t items = 0;
    for (Index s = 0; s < table.system_count(); ++s) {
      const std::vector<double> scores = table.mean_items(s, t);
      items = scores.size();
      means.push_back(mean_of(scores));
    }
    const Index best = std::max_element(means.begin(), means.end()) - means.begin();
    const bool decides = family.comparisons.empty() || family.can_decide(alpha);
    std::vector<Cell> row{family.scope,
                          family.items + ": " + std::to_string(items) + (decides ? "" : ", too few to tell")};
    for (Index s = 0; s < table.system_count(); ++s) {
      const double mean = means[static_cast<std::size_t>(s)], highest = means[static_cast<std::size_t>(best)];
      if (s == best) {
        row.emplace_back(Cell{fixed(100 * mean, 1), true});
        continue;
      }
      std::string text = fixed(100 * (mean - highest), 1);
      for (std::size_t i = 0; i < family.pairs.size(); ++i)
        if (family.pairs[i] == std::pair(std::min(s, best), std::max(s, best)) &&
            family.verdict(i, alpha) == Verdict::significant)
          text += stars(family.comparisons[i].adjusted_p);
      row.emplace_back(text);
    }
    result.rows.push_back(std::move(row));
  }
  return result;
}

std::vector<std::string> item_notes(const ScoreTable& table) {
  std::vector<std::string> notes;
  for (const std::string& kind : table.kinds()) {
    if (kind == "sts")
      notes.push_back(
          "sts: an item is a pair, its score 1 - 6 d² / (n² - 1) with d the difference of its two ranks; the mean is "
          "Spearman's correlation where nothing ties.");
    if (kind == "pairclassification")
      notes.push_back(
          "pairclassification: an item is a positive pair, its score the precision at its place; the mean is the "
          "average precision.");
    if (kind == "clustering")
      notes.push_back(
          "clustering: an item is a whole clustering; a data set has few of them, seldom enough for a test.");
    if (kind == "bitext")
      notes.push_back(
          "bitext: an item is a sentence, its score 1 where the translation is found; the mean is the accuracy, while "
          "the data set's score is F1.");
  }
  notes.push_back(
      "All other kinds: the mean of the items is the score, in summarization without articles whose cosines are all equal.");
  return notes;
}

}  // namespace embedpool::program
