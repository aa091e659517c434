#include "layers_tables.hpp"

#include <algorithm>

#include "embedpool/eval/report/number.hpp"

namespace embedpool::program {
namespace {

using report::Cell;
using report::fixed;
using report::Table;

std::size_t best_place(const std::vector<double>& values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}
std::string with_layer(const std::vector<double>& scores) {
  const std::size_t best = best_place(scores);
  return fixed(100 * scores[best], 1) + " (" + std::to_string(best) + ")";
}
std::vector<double> times_100(std::vector<double> values) {
  for (double& value : values) value *= 100;
  return values;
}
std::vector<double> layer_numbers(const LayersRun& run) {
  std::vector<double> numbers;
  for (Index k = 0; k <= run.layers; ++k) numbers.push_back(static_cast<double>(k));
  return numbers;
}
std::vector<std::string> layer_names(Index count) {
  std::vector<std::string> names;
  for (Index k = 0; k < count; ++k) names.push_back(std::to_string(k));
  return names;
}
/// Adds a column of values that has its largest in bold.
void add_column(Table& table, const std::string& name, const std::vector<double>& values) {
  table.columns.push_back(name);
  const double best = values[best_place(values)];
  for (std::size_t k = 0; k < values.size(); ++k) table.rows[k].emplace_back(fixed(100 * values[k], 1), values[k] == best);
}
Table layers_down(std::string caption, Index layers) {
  Table table{std::move(caption), {"layer"}, {}};
  for (Index k = 0; k <= layers; ++k) table.rows.push_back({std::to_string(k)});
  return table;
}
report::LineChart chart_by_layer(const LayersRun& run, std::string title) {
  report::LineChart chart{};
  chart.title = std::move(title);
  chart.x_label = "layer";
  chart.y_label = "score x 100";
  chart.x = layer_numbers(run);
  return chart;
}
/// Two lines of one colour.
void add_lines(report::LineChart& chart, const std::string& name, const std::vector<double>& raw,
               const std::vector<double>& calibrated) {
  const int colour = static_cast<int>(chart.lines.size() / 2);
  chart.lines.push_back({name + ", calibrated", times_100(calibrated), colour, false});
  chart.lines.push_back({name + ", raw", times_100(raw), colour, true});
}

}  // namespace

std::vector<double> mean_by_layer(const std::vector<TaskByLayer>& tasks, std::vector<double> TaskByLayer::*values) {
  std::vector<double> mean((tasks.front().*values).size(), 0.0);
  for (const TaskByLayer& task : tasks)
    for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += (task.*values)[k] / static_cast<double>(tasks.size());
  return mean;
}

Table best_layers(const LayersRun& run) {
  Table table{"Main scores x 100; behind the best its layer",
              {"data set", "kind", "metric", "texts", "raw: last", "best", "calibrated: last", "best"},
              {}};
  const auto add = [&](std::vector<Cell> front, const std::vector<double>& raw, const std::vector<double>& calibrated) {
    for (std::string text :
         {fixed(100 * raw.back(), 1), with_layer(raw), fixed(100 * calibrated.back(), 1), with_layer(calibrated)})
      front.emplace_back(std::move(text));
    table.rows.push_back(std::move(front));
  };
  for (const TaskByLayer& task : run.tasks)
    add({task.folder.name, std::string(name_of(task.folder.kind)), task.metric, std::to_string(task.texts)}, task.raw,
        task.calibrated);
  if (run.tasks.size() > 1)
    add({Cell("mean", true), "", "", ""}, mean_by_layer(run.tasks, &TaskByLayer::raw),
        mean_by_layer(run.tasks, &TaskByLayer::calibrated));
  return table;
}

Table scores_table(const LayersRun& run) {
  Table table = layers_down("Main scores x 100; the best layer of each column is bold", run.layers);
  for (const TaskByLayer& task : run.tasks) {
    add_column(table, task.folder.name + ", raw", task.raw);
    add_column(table, "calibrated", task.calibrated);
  }
  if (run.tasks.size() > 1) {
    add_column(table, "mean, raw", mean_by_layer(run.tasks, &TaskByLayer::raw));
    add_column(table, "calibrated", mean_by_layer(run.tasks, &TaskByLayer::calibrated));
  }
  return table;
}

Table neighbours_table(const LayersRun& run) {
  Table table{"Each layer and the one before it; in brackets what chance alone gives",
              {"layers", "cosine, raw", "standardised", "CKA, raw", "standardised"},
              {}};
  for (Index k = 1; k <= run.layers; ++k) {
    const auto cka = [&](const LinearCka& all) {
      return fixed(all.similarity(k - 1, k), 2) + " (" + fixed(all.chance(k - 1, k), 2) + ")";
    };
    table.rows.push_back({std::to_string(k - 1) + ", " + std::to_string(k), fixed(run.raw.cosine(k - 1, k), 2),
                          fixed(run.standardised.cosine(k - 1, k), 2), cka(run.raw.cka), cka(run.standardised.cka)});
  }
  return table;
}

Table attention_table(const LayersRun& run) {
  Table table = layers_down("Share of each layer in per cent; the largest of each column is bold", run.layers);
  for (const TaskByLayer& task : run.tasks) add_column(table, task.folder.name, task.attention);
  if (run.tasks.size() > 1) add_column(table, "mean", mean_by_layer(run.tasks, &TaskByLayer::attention));
  return table;
}

Table tidy_rows(const LayersRun& run) {
  Table table{"", {"task", "kind", "metric", "texts", "layer", "raw", "calibrated", "attention"}, {}};
  for (const TaskByLayer& task : run.tasks)
    for (std::size_t k = 0; k < task.raw.size(); ++k)
      table.rows.push_back({task.folder.name, std::string(name_of(task.folder.kind)), task.metric,
                            std::to_string(task.texts), std::to_string(k), report::compact(task.raw[k], 10),
                            report::compact(task.calibrated[k], 10),
                            task.attention.empty() ? "" : report::compact(task.attention[k], 10)});
  return table;
}

report::LineChart score_chart(const LayersRun& run, const std::string& title, const std::vector<std::size_t>& tasks) {
  report::LineChart chart = chart_by_layer(run, title);
  for (const std::size_t t : tasks)
    add_lines(chart, run.tasks[t].folder.name, run.tasks[t].raw, run.tasks[t].calibrated);
  return chart;
}

report::LineChart mean_chart(const LayersRun& run) {
  report::LineChart chart = chart_by_layer(run, "Mean of " + std::to_string(run.tasks.size()) + " data sets");
  add_lines(chart, "mean", mean_by_layer(run.tasks, &TaskByLayer::raw),
            mean_by_layer(run.tasks, &TaskByLayer::calibrated));
  return chart;
}

report::HeatMap similarity_map(const Matrix<double>& values, const std::string& title, double low) {
  report::HeatMap map{};
  map.title = title;
  map.x_label = map.y_label = "layer";
  map.x = map.y = layer_names(values.rows());
  for (Index i = 0; i < values.rows(); ++i) map.values.emplace_back(values.row(i).begin(), values.row(i).end());
  map.low = low;
  map.high = 1;
  return map;
}

report::HeatMap attention_map(const LayersRun& run) {
  report::HeatMap map{};
  map.title = "Share of each layer in the head's attention, per cent";
  map.x_label = "layer";
  map.x = layer_names(run.layers + 1);
  for (const TaskByLayer& task : run.tasks) {
    map.y.push_back(task.folder.name);
    map.values.push_back(times_100(task.attention));
  }
  return map;
}

}  // namespace embedpool::program
