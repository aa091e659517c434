#pragma once
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/report/frame.hpp"
#include "embedpool/eval/report/palette.hpp"

namespace embedpool::report {

/// Values over a common scale as lines: scores by layer.
struct LineChart {
  struct Line {
    std::string name{};
    std::vector<double> y{};  ///< as many as x; one that is not drawable is a gap in the line
    int colour = -1;          ///< of series_colour, so that lines that belong together share it; -1: that of its place
    bool dashed = false;
  };
  std::string title{}, x_label{}, y_label{};
  std::vector<double> x{};
  std::vector<Line> lines{};
};

namespace detail {
/// Outline of the i-th kind of mark about a point, so that lines differ without colour: disc, square, triangle, diamond.
inline std::string mark(std::size_t i, double x, double y, double r) {
  const auto at = [](double a, double b) { return compact(a) + " " + compact(b); };
  const std::string arc = "a" + at(r, r) + " 0 1 0 ";
  switch (i % 4) {
    case 0: return "M" + at(x - r, y) + arc + at(2 * r, 0) + arc + at(-2 * r, 0) + "Z";
    case 1: return "M" + at(x - r, y - r) + "h" + compact(2 * r) + "v" + compact(2 * r) + "h" + compact(-2 * r) + "Z";
    case 2: return "M" + at(x, y - 1.2 * r) + "L" + at(x + 1.2 * r, y + r) + "H" + compact(x - 1.2 * r) + "Z";
    default: return "M" + at(x, y - 1.4 * r) + "l" + at(1.4 * r, 1.4 * r) + "l" + at(-1.4 * r, 1.4 * r) + "l" + at(-1.4 * r, -1.4 * r) + "Z";
  }
}
}  // namespace detail

/// The chart as an SVG element. Lines differ by colour, and by marks where points are not many.
///
/// Errors  ShapeError when a line has not one value for each x, or an x is not drawable
inline std::string draw(const LineChart& chart) {
  const std::string where = "line chart '" + chart.title + "'";
  Range x_range, y_range;
  bool whole = true;
  for (const double x : chart.x) {
    if (!drawable(x)) throw ShapeError(where + ": x must be a number of at most 1e12");
    x_range.add(x);
    whole = whole && x == std::floor(x);
  }
  std::vector<std::string> names;
  for (const LineChart::Line& line : chart.lines) {
    require_equal(where, "values of '" + line.name + "'", static_cast<Index>(line.y.size()), static_cast<Index>(chart.x.size()));
    for (const double y : line.y) y_range.add(y);
    names.push_back(line.name);
  }
  constexpr double width = 680, plot_height = 280, right = 16;
  const Axis y_axis(y_range, 6), x_axis(x_range, 10, whole);
  // The plot ends where the data end: layers 1 to 30 need no room down to 0.
  const double x_low = x_range.high > x_range.low ? x_range.low : x_axis.low();
  const double x_high = x_range.high > x_range.low ? x_range.high : x_axis.high();
  const double left = left_margin(y_axis, chart.y_label), plot_width = width - left - right;
  const LegendPlaces legend(names, width - 8);
  const double legend_top = chart.title.empty() ? 4 : 30, top = legend_top + legend.height + 12, foot = top + plot_height;
  const auto place_x = [&](double x) { return left + 8 + (plot_width - 16) * (x - x_low) / (x_high - x_low); };
  const auto place_y = [&](double y) { return foot - plot_height * y_axis.fraction(y); };

  Svg svg(width, foot + 26 + (chart.x_label.empty() ? 0 : 20), chart.title);
  if (!chart.title.empty()) svg.title(chart.title);
  draw_scale(svg, y_axis, chart.y_label, left, top, plot_width, plot_height);
  for (const double tick : x_axis.ticks()) {
    const double slack = 1e-9 * (x_high - x_low);
    if (tick < x_low - slack || tick > x_high + slack) continue;
    svg.line(place_x(tick), foot, place_x(tick), foot + 5);
    svg.label(place_x(tick), foot + 19, x_axis.tick_text(tick), Anchor::middle);
  }
  svg.line(left, foot, left + plot_width, foot);
  if (!chart.x_label.empty()) svg.label(left + plot_width / 2, foot + 39, chart.x_label, Anchor::middle);

  for (std::size_t l = 0; l < chart.lines.size(); ++l) {
    const LineChart::Line& line = chart.lines[l];
    const std::size_t look = line.colour < 0 ? l : static_cast<std::size_t>(line.colour);
    const std::string_view colour = series_colour(look), dashes = line.dashed ? "6 4" : "";
    const auto known = [&](std::size_t i) { return i < line.y.size() && drawable(line.y[i]); };
    std::string path;
    for (std::size_t i = 0; i < line.y.size(); ++i) {
      if (!known(i)) continue;
      path += known(i - 1) ? 'L' : 'M';
      path += compact(place_x(chart.x[i])) + " " + compact(place_y(line.y[i]));
    }
    if (!path.empty()) svg.stroke_path(path, colour, 2, dashes);
    for (std::size_t i = 0; i < line.y.size(); ++i) {
      const bool alone = !known(i - 1) && !known(i + 1);  // a line would not show it
      if (known(i) && (chart.x.size() <= 40 || alone))
        svg.fill_path(detail::mark(look, place_x(chart.x[i]), place_y(line.y[i]), line.dashed ? 2.2 : 3.2), colour,
                      line.name + ", " + compact(chart.x[i]) + ": " + compact(line.y[i], 4));
    }
    const double x = 4 + legend.places[l].x, y = legend_top + legend.places[l].y + 8;
    svg.line(x, y, x + 24, y, 2, 1, colour, dashes);
    svg.fill_path(detail::mark(look, x + 12, y, line.dashed ? 2.2 : 3.2), colour);
    svg.label(x + LegendPlaces::sample, y + 4.5, legend.places[l].text);
  }
  return svg.text();
}

}  // namespace embedpool::report
