#pragma once
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/report/frame.hpp"
#include "embedpool/eval/report/palette.hpp"

namespace embedpool::report {

/// Values over two lists of names as coloured cells: layers by layers, tasks by layers.
struct HeatMap {
  std::string title{}, x_label{}, y_label{};
  std::vector<std::string> x{}, y{};          ///< names of columns, and of rows from the top
  std::vector<std::vector<double>> values{};  ///< [y][x]; one that is not drawable is an empty cell
  double low = std::numeric_limits<double>::quiet_NaN();   ///< the ends of the colours; those of the values where they
  double high = std::numeric_limits<double>::quiet_NaN();  ///< are not drawable
};

namespace detail {
/// The colours of a heat map with their values, at (x, top).
inline void draw_colours(Svg& svg, double x, double top, double bar, double height, double low, double high, int decimals) {
  constexpr int steps = 48;
  for (int i = 0; i < steps; ++i)
    svg.box(x, top + height * i / steps, bar, height / steps + 0.3, HeatColour(1 - (i + 0.5) / steps).text());
  svg.label(x + bar + 6, top + 10, fixed(high, decimals));
  if (!(high > low)) return;
  svg.label(x + bar + 6, top + height, fixed(low, decimals));
  if (height >= 100) svg.label(x + bar + 6, top + height / 2 + 5, fixed((low + high) / 2, decimals));
}
}  // namespace detail

/// The map as an SVG element. Cells that are wide enough hold their value; pointing at a cell tells it in any case.
///
/// Errors  ShapeError when there is not one value for each pair of names
inline std::string draw(const HeatMap& map) {
  const std::string where = "heat map '" + map.title + "'";
  require_equal(where, "rows", static_cast<Index>(map.values.size()), static_cast<Index>(map.y.size()));
  Range range;
  for (const auto& row : map.values) {
    require_equal(where, "columns", static_cast<Index>(row.size()), static_cast<Index>(map.x.size()));
    for (const double value : row) range.add(value);
  }
  const double low = drawable(map.low) ? map.low : range.low, high = drawable(map.high) ? map.high : range.high;
  const int decimals = high - low >= 200 ? 0 : high - low >= 20 ? 1 : high - low >= 0.2 ? 2 : 3;

  constexpr double longest_name = 200, bar = 14, gap = 14;
  double names = 0, written = 0;
  for (const std::string& name : map.y) names = std::max(names, std::min(text_width(name, Svg::font_size), longest_name));
  for (const auto& row : map.values)
    for (const double value : row) written = std::max(written, text_width(fixed(value, decimals), Svg::small_font));
  const double columns = static_cast<double>(std::max<std::size_t>(map.x.size(), 1));
  const double rows = static_cast<double>(map.y.size());
  const double column = std::clamp(480 / columns, 14.0, 64.0), row = rows > 12 ? std::clamp(480 / rows, 14.0, 22.0) : 26;
  const ColumnLabels x_labels(map.x, column);
  const double left = std::max((map.y_label.empty() ? 4 : 26) + names + 8, x_labels.reach() - column / 2 + 6);
  const double top = map.title.empty() ? 8 : 34, plot_width = column * columns, plot_height = row * rows;
  const double below = x_labels.height() + (map.x_label.empty() ? 4 : 22), colours_height = std::clamp(plot_height, 60.0, 240.0);
  const double scale = std::max(text_width(fixed(low, decimals), Svg::font_size), text_width(fixed(high, decimals), Svg::font_size));
  const double width = std::max(left + plot_width + gap + bar + 6 + scale + 8, text_width(map.title, Svg::title_font) + 16);
  Svg svg(width, top + std::max(plot_height + below, colours_height + 8), map.title);
  if (!map.title.empty()) svg.title(map.title);

  const std::size_t every = row < 15 ? 2 : 1;  // of rows as tight as letters are high, every second name
  for (std::size_t j = 0; j < map.y.size(); ++j) {
    const double y = top + row * static_cast<double>(j);
    if (j % every == 0)
      svg.label(left - 7, y + row / 2 + 4.5, shortened(map.y[j], Svg::font_size, longest_name), Anchor::end);
    for (std::size_t i = 0; i < map.x.size(); ++i) {
      const double x = left + column * static_cast<double>(i), value = map.values[j][i];
      if (!drawable(value)) {
        svg.line(x + column * 0.35, y + row / 2, x + column * 0.65, y + row / 2, 1, 0.4);
        continue;
      }
      const HeatColour colour(high > low ? (value - low) / (high - low) : 0.5);
      // A hair larger than the step, so that the page does not show through between neighbours.
      svg.box(x, y, column + 0.3, row + 0.3, colour.text(), map.y[j] + ", " + map.x[i] + ": " + compact(value, decimals + 2));
      if (written + 6 <= column)
        svg.label(x + column / 2, y + row / 2 + 4, fixed(value, decimals), Anchor::middle, Svg::small_font, 0, false,
                  colour.letters());
    }
  }
  x_labels.draw(svg, left, top + plot_height);
  if (!map.x_label.empty())
    svg.label(left + plot_width / 2, top + plot_height + x_labels.height() + 14, map.x_label, Anchor::middle);
  if (!map.y_label.empty())
    svg.label(15, top + plot_height / 2, map.y_label, Anchor::middle, Svg::font_size, -90);
  if (!range.empty) detail::draw_colours(svg, left + plot_width + gap, top, bar, colours_height, low, high, decimals);
  return svg.text();
}

}  // namespace embedpool::report
