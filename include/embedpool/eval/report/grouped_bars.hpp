#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/report/frame.hpp"
#include "embedpool/eval/report/palette.hpp"

namespace embedpool::report {

/// Bars side by side in groups, with intervals: scores of designs by kind of task.
struct GroupedBars {
  struct Series {
    std::string name{};
    std::vector<double> values{};       ///< one a group; one that is not drawable has no bar
    std::vector<double> low{}, high{};  ///< ends of intervals, one a group or none at all
  };
  std::string title{}, y_label{};
  std::vector<std::string> groups{};
  std::vector<Series> series{};
};

/// The chart as an SVG element. Bars start at zero.
///
/// Errors  ShapeError when a series has not one value for each group, or ends of intervals but not one for each
inline std::string draw(const GroupedBars& chart) {
  const std::string where = "grouped bars '" + chart.title + "'";
  Range range;
  range.add(0);
  std::vector<std::string> names;
  for (const GroupedBars::Series& series : chart.series) {
    const auto groups = static_cast<Index>(chart.groups.size());
    require_equal(where, "values of '" + series.name + "'", static_cast<Index>(series.values.size()), groups);
    for (const auto* ends : {&series.low, &series.high})
      if (!series.low.empty() || !series.high.empty())
        require_equal(where, "ends of intervals of '" + series.name + "'", static_cast<Index>(ends->size()), groups);
    for (const auto* all : {&series.values, &series.low, &series.high})
      for (const double value : *all) range.add(value);
    names.push_back(series.name);
  }
  if (range.high == 0 && range.low == 0) range.add(1);
  const Axis axis(range, 6);
  const double series_count = static_cast<double>(std::max<std::size_t>(chart.series.size(), 1));
  const double group_count = static_cast<double>(std::max<std::size_t>(chart.groups.size(), 1));
  constexpr double plot_height = 280, right = 12, usual_width = 680, filled = 0.8, least_bar = 7;
  const double bare_left = left_margin(axis, chart.y_label);
  const double group = std::max((usual_width - bare_left - right) / group_count, series_count * least_bar / filled);
  const double bar = std::min(group * filled / series_count, 56.0);
  const ColumnLabels labels(chart.groups, group);
  const double left = std::max(bare_left, labels.reach() - group / 2 + 6);
  const double plot_width = group * group_count, width = left + plot_width + right;
  const LegendPlaces legend(names, width - 8);
  const double legend_top = chart.title.empty() ? 4 : 30, top = legend_top + legend.height + 12, foot = top + plot_height;
  const auto place_y = [&](double y) { return foot - plot_height * axis.fraction(y); };

  Svg svg(width, foot + labels.height() + 4, chart.title);
  if (!chart.title.empty()) svg.title(chart.title);
  draw_scale(svg, axis, chart.y_label, left, top, plot_width, plot_height);
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const GroupedBars::Series& series = chart.series[s];
    for (std::size_t g = 0; g < chart.groups.size(); ++g) {
      const double value = series.values[g];
      if (!drawable(value)) continue;
      const double x = left + group * (static_cast<double>(g) + 0.5) + bar * (static_cast<double>(s) - series_count / 2);
      const double high_end = place_y(std::max(value, 0.0)), low_end = place_y(std::min(value, 0.0));
      std::string note = series.name + ", " + chart.groups[g] + ": " + compact(value, 4);
      const bool interval = !series.low.empty() && drawable(series.low[g]) && drawable(series.high[g]);
      if (interval) note += " (" + compact(series.low[g], 4) + " to " + compact(series.high[g], 4) + ")";
      svg.box(x + 0.5, high_end, bar - 1, low_end - high_end, series_colour(s), note);
      if (!interval) continue;
      const double centre = x + bar / 2, cap = std::min(bar * 0.25, 6.0);
      svg.line(centre, place_y(series.high[g]), centre, place_y(series.low[g]), 1.5);
      for (const double end : {series.low[g], series.high[g]}) svg.line(centre - cap, place_y(end), centre + cap, place_y(end), 1.5);
    }
    const double x = 4 + legend.places[s].x, y = legend_top + legend.places[s].y;
    svg.box(x + 8, y + 2, 14, 12, series_colour(s));
    svg.label(x + LegendPlaces::sample, y + 12.5, legend.places[s].text);
  }
  svg.line(left, place_y(0), left + plot_width, place_y(0));
  labels.draw(svg, left, foot);
  return svg.text();
}

}  // namespace embedpool::report
