#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/report/frame.hpp"

namespace embedpool::report {

/// Average ranks of systems on a scale, with a bar over each set of systems that the tests do not tell apart.
///
/// Source  Demsar 2006, "Statistical comparisons of classifiers over multiple data sets"; the sets may come from any test
struct CriticalDifference {
  std::string title{};
  std::vector<std::string> names{};
  std::vector<double> ranks{};              ///< average rank of each name, 1 the best; one that is not drawable is left out
  std::vector<std::vector<int>> cliques{};  ///< places in `names` of systems that are not told apart
};

namespace detail {
/// A bar under the scale, on the first level where none is in its way.
struct RankBar {
  double from, to;
  int level;
};

inline std::vector<RankBar> rank_bars(const CriticalDifference& chart) {
  std::vector<RankBar> bars;
  for (const auto& clique : chart.cliques) {
    Range span;
    int members = 0;
    for (const int place : clique) {
      const double rank = chart.ranks[static_cast<std::size_t>(place)];
      span.add(rank);
      members += drawable(rank);
    }
    if (members < 2) continue;
    int level = 0;
    const auto meets = [&](const RankBar& bar) { return bar.level == level && bar.from <= span.high && span.low <= bar.to; };
    while (std::any_of(bars.begin(), bars.end(), meets)) ++level;
    bars.push_back({span.low, span.high, level});
  }
  return bars;
}
}  // namespace detail

/// The diagram as an SVG element: the better half is named at the left, the worse at the right.
///
/// Errors  ShapeError when there is not one rank for each name, or a clique has a place that is none
inline std::string draw(const CriticalDifference& chart) {
  const std::string where = "critical difference '" + chart.title + "'";
  require_equal(where, "ranks", static_cast<Index>(chart.ranks.size()), static_cast<Index>(chart.names.size()));
  for (const auto& clique : chart.cliques)
    for (const int place : clique) require_in(where, "place in a clique", place, 0, static_cast<Index>(chart.names.size()) - 1);

  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < chart.names.size(); ++i)
    if (drawable(chart.ranks[i])) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return chart.ranks[a] < chart.ranks[b]; });
  Range range;
  range.add(1);
  range.add(std::max(2.0, static_cast<double>(chart.names.size())));
  for (const std::size_t i : order) range.add(chart.ranks[i]);
  const Axis axis(range, 20, true);
  const std::vector<detail::RankBar> bars = detail::rank_bars(chart);
  int levels = 0;
  for (const detail::RankBar& bar : bars) levels = std::max(levels, bar.level + 1);

  constexpr double width = 720, longest_name = 200, level_height = 9, row_height = 22;
  double names = 60;
  std::vector<std::string> shown(chart.names.size());
  for (const std::size_t i : order) {
    shown[i] = shortened(chart.names[i], Svg::font_size, longest_name - 45) + " (" + fixed(chart.ranks[i], 2) + ")";
    names = std::max(names, text_width(shown[i], Svg::font_size) + 14);
  }
  const double left = names, right = width - names, base = (chart.title.empty() ? 4 : 30) + 26;
  const double first_row = base + 14 + level_height * levels + 16;
  const std::size_t at_left = (order.size() + 1) / 2;
  const auto place = [&](double rank) { return left + (right - left) * axis.fraction(rank); };
  Svg svg(width, first_row + row_height * static_cast<double>(std::max<std::size_t>(at_left, 1)), chart.title);
  if (!chart.title.empty()) svg.title(chart.title);
  svg.line(left, base, right, base, 1.5);
  for (const double tick : axis.ticks()) {
    svg.line(place(tick), base - 6, place(tick), base, 1.5);
    svg.label(place(tick), base - 11, axis.tick_text(tick), Anchor::middle);
  }
  svg.label(left - 8, base + 4.5, "best", Anchor::end, Svg::small_font);
  svg.label(right + 8, base + 4.5, "worst", Anchor::start, Svg::small_font);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool good = i < at_left;
    const double x = place(chart.ranks[order[i]]), side = good ? left : right, outwards = good ? -1 : 1;
    // From both ends inwards, so that no leader crosses another.
    const double y = first_row + row_height * static_cast<double>(good ? i : order.size() - 1 - i);
    svg.stroke_path("M" + compact(x) + " " + compact(base) + "V" + compact(y) + "H" + compact(side + 4 * outwards), "currentColor", 1);
    svg.label(side + 8 * outwards, y + 4.5, shown[order[i]], good ? Anchor::end : Anchor::start);
  }
  for (const detail::RankBar& bar : bars) {
    const double y = base + 12 + level_height * bar.level;
    svg.line(place(bar.from) - 4, y, place(bar.to) + 4, y, 4.5);
  }
  return svg.text();
}

}  // namespace embedpool::report
