#include "compare_tables.hpp"

#include <algorithm>
#include <cmath>

#include "embedpool/eval/comparison/spread.hpp"
#include "embedpool/eval/report/number.hpp"
#include "progress.hpp"

namespace embedpool::program {
namespace {

using report::Cell;
using report::fixed;
using report::Table;

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
/// Makes the cell of each system that has the largest score strong.
template <class CellOf>
void mark_best(const std::vector<double>& scores, const CellOf& cell) {
  const double best = *std::max_element(scores.begin(), scores.end());
  for (std::size_t s = 0; s < scores.size(); ++s) cell(s).strong = scores[s] == best;
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
    mark_best(means[k], [&](std::size_t s) -> Cell& { return result.rows[s][k + 1]; });
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
               {"data set", "kind", "metric"},
               {}};
  result.columns.insert(result.columns.end(), table.systems().begin(), table.systems().end());
  for (Index t = 0; t < table.task_count(); ++t) {
    const ComparedTask& task = table.tasks()[static_cast<std::size_t>(t)];
    std::vector<Cell> row{task.name, task.kind, task.main_metric};
    std::vector<double> means;
    for (Index s = 0; s < table.system_count(); ++s) {
      const Spread spread = spread_of(table.by_seed(s, t));
      row.emplace_back(score_text(spread));
      means.push_back(spread.mean);
    }
    mark_best(means, [&](std::size_t s) -> Cell& { return row[s + 3]; });
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

}  // namespace embedpool::program
