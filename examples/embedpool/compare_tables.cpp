#include "compare_tables.hpp"

#include <algorithm>
#include <cmath>

#include "embedpool/eval/comparison/spread.hpp"
#include "embedpool/eval/comparison/stars.hpp"
#include "embedpool/eval/report/number.hpp"
#include "progress.hpp"

namespace embedpool::program {
namespace {

using report::Cell;
using report::fixed;
using report::Table;

std::string exact(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}
std::string short_p(double p) {
  char text[64];
  std::snprintf(text, sizeof text, p < 0.001 ? "%.1e" : "%.3f", p);
  return text;
}
/// Of seeds that are all the same, as those of an untrained system, the score alone.
std::string score_text(const Spread& spread) {
  return fixed(100 * spread.mean, 1) + (spread.high > spread.low ? " ± " + fixed(100 * spread.deviation, 1) : "");
}
/// 1330000 as 1,330,000.
std::string grouped(Index value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
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
/// Makes the largest of a row strong.
void mark_best(std::vector<Cell>& cells, const std::vector<double>& scores, std::size_t first) {
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
  cells[first + static_cast<std::size_t>(best)].strong = true;
}
std::vector<std::string> with_front(std::vector<std::string> front, const std::vector<std::string>& names) {
  front.insert(front.end(), names.begin(), names.end());
  return front;
}

}  // namespace

Table kind_table(const ScoreTable& table) {
  std::vector<std::string> scopes = table.kinds(), columns = {"system"};
  for (const std::string& kind : scopes)
    columns.push_back(kind + " (" + std::to_string(table.tasks_of(kind).size()) + ")");
  columns.push_back("all data sets (" + std::to_string(table.task_count()) + ")");
  scopes.push_back("");
  Table result{"Mean score x 100 of each kind's data sets (how many), mean ± standard deviation over " +
                   std::to_string(table.seeds()) + (table.seeds() == 1 ? " seed" : " seeds") + "; the highest is bold",
               columns,
               {}};
  std::vector<std::vector<double>> means(scopes.size());
  for (Index s = 0; s < table.system_count(); ++s) {
    std::vector<Cell> row{table.systems()[static_cast<std::size_t>(s)]};
    for (std::size_t k = 0; k < scopes.size(); ++k) {
      const Spread spread = spread_of(table.by_seed(s, table.tasks_of(scopes[k])));
      means[k].push_back(spread.mean);
      row.emplace_back(score_text(spread));
    }
    result.rows.push_back(std::move(row));
  }
  for (std::size_t k = 0; k < scopes.size(); ++k)
    result.rows[static_cast<std::size_t>(std::max_element(means[k].begin(), means[k].end()) - means[k].begin())][k + 1]
        .strong = true;
  return result;
}

report::GroupedBars kind_bars(const ScoreTable& table) {
  report::GroupedBars bars{"Score by kind of task", "score x 100", table.kinds(), {}};
  for (Index s = 0; s < table.system_count(); ++s) {
    report::GroupedBars::Series series{table.systems()[static_cast<std::size_t>(s)], {}, {}, {}};
    for (const std::string& kind : table.kinds()) {
      const Spread spread = spread_of(table.by_seed(s, table.tasks_of(kind)));
      series.values.push_back(100 * spread.mean);
      if (spread.count < 2) continue;
      series.low.push_back(100 * spread.low);
      series.high.push_back(100 * spread.high);
    }
    bars.series.push_back(std::move(series));
  }
  return bars;
}

Table task_table(const ScoreTable& table) {
  Table result{"Score x 100 of each data set, mean ± standard deviation over seeds; the highest is bold",
               with_front({"data set", "kind", "metric"}, table.systems()),
               {}};
  for (Index t = 0; t < table.task_count(); ++t) {
    const ComparedTask& task = table.tasks()[static_cast<std::size_t>(t)];
    std::vector<Cell> row{task.name, task.kind, task.main_metric};
    std::vector<double> means;
    for (Index s = 0; s < table.system_count(); ++s) {
      const Spread spread = spread_of(table.by_seed(s, t));
      row.emplace_back(score_text(spread));
      means.push_back(spread.mean);
    }
    mark_best(row, means, 3);
    result.rows.push_back(std::move(row));
  }
  return result;
}

report::HeatMap difference_map(const ScoreTable& table) {
  report::HeatMap map{
      "Score less the data set's mean over systems", "system", "data set", table.systems(), {}, {}, 0, 0};
  double most = 0.1;
  for (Index t = 0; t < table.task_count(); ++t) {
    map.y.push_back(table.tasks()[static_cast<std::size_t>(t)].name);
    std::vector<double> row;
    double mean = 0;
    for (Index s = 0; s < table.system_count(); ++s) {
      row.push_back(100 * table.mean(s, t));
      mean += row.back() / static_cast<double>(table.system_count());
    }
    for (double& value : row) most = std::max(most, std::abs(value -= mean));
    map.values.push_back(std::move(row));
  }
  map.low = -most;
  map.high = most;
  return map;
}

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
               with_front({"data set", "items"}, table.systems()),
               {}};
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
      const double mean = means[static_cast<std::size_t>(s)], least = means[static_cast<std::size_t>(best)];
      if (s == best) {
        row.emplace_back(Cell{fixed(100 * mean, 1), true});
        continue;
      }
      std::string text = fixed(100 * (mean - least), 1);
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
  notes.push_back("All other kinds: the mean of the items is the score.");
  return notes;
}

Table cost_table(const ComparedRun& run) {
  Table result{"Cost of training once", {"system", "time, [h:]min:s", "memory, MiB", "trained parameters"}, {}};
  for (std::size_t s = 0; s < run.systems.size(); ++s) {
    const SystemCost& cost = run.costs[s];
    const bool untrained = run.systems[s].untrained;
    result.rows.push_back(
        {run.systems[s].name, untrained ? "none" : Progress::clock(cost.train_seconds),
         cost.peak_memory > 0 ? fixed(static_cast<double>(cost.peak_memory) / (1 << 20), 0) : "not known",
         untrained ? "0" : grouped(cost.parameters)});
    if (untrained) result.rows.back()[2] = "none";
  }
  return result;
}

Table data_table(const ComparedRun& run) {
  Table result{"Files with their FNV-1a digests", {"data", "digest"}, {}};
  for (const char* kind : {"training_data", "data_sets"})
    for (const auto& [name, digest] : run.plan.at(kind).items())
      result.rows.push_back({name, digest.get<std::string>()});
  return result;
}

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
