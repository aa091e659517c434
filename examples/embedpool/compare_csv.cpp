#include "compare_tables.hpp"

namespace embedpool::program {
namespace {

using report::Table;

std::string exact(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

}  // namespace

Table score_rows(const ScoreTable& table) {
  Table result{"", {"system", "seed", "kind", "data_set", "metric", "score"}, {}};
  for (Index s = 0; s < table.system_count(); ++s)
    for (Index k = 0; k < table.seeds(); ++k)
      for (Index t = 0; t < table.task_count(); ++t) {
        const ComparedTask& task = table.tasks()[static_cast<std::size_t>(t)];
        result.rows.push_back({table.systems()[static_cast<std::size_t>(s)], std::to_string(k), task.kind, task.name,
                               task.main_metric, exact(table.score(s, t, k))});
      }
  return result;
}

Table pair_rows(const std::vector<ComparisonFamily>& families, double alpha) {
  Table result{
      "",
      {"scope", "items", "first", "second", "mean_first", "mean_second", "mean_difference_low", "mean_difference_high",
       "median_difference", "n", "zeros", "w_plus", "w_minus", "rank_biserial", "p", "p_holm", "verdict"},
      {}};
  for (const ComparisonFamily& family : families)
    for (std::size_t i = 0; i < family.comparisons.size(); ++i) {
      const Comparison& c = family.comparisons[i];
      const Verdict verdict = family.verdict(i, alpha);
      result.rows.push_back({family.scope, family.items, c.first, c.second, exact(c.mean_first), exact(c.mean_second),
                             exact(c.mean_difference.low), exact(c.mean_difference.high), exact(c.median_difference),
                             std::to_string(c.test.n), std::to_string(c.test.zeros), exact(c.test.w_plus),
                             exact(c.test.w_minus), exact(c.test.rank_biserial()), exact(c.test.p), exact(c.adjusted_p),
                             verdict == Verdict::significant  ? "significant"
                             : verdict == Verdict::impossible ? "impossible"
                                                              : "not_significant"});
    }
  return result;
}

}  // namespace embedpool::program
