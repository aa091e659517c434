#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "embedpool/core/error.hpp"

namespace embedpool {

/// The ranks 1..n of the values, from the smallest; equal values share the mean of their ranks.
///
/// Requires  no NaN
inline std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    // Ranks first + 1 ... end, whose mean is:
    const double rank = 0.5 * static_cast<double>(first + 1 + end);
    for (std::size_t i = first; i < end; ++i) ranks[order[i]] = rank;
    first = end;
  }
  return ranks;
}

/// Pearson's correlation of x and y.
///
///   r = sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2)
///
/// NaN when x or y never varies: the correlation is not defined then.
/// Errors  ShapeError when the lengths differ or are less than 2
inline double pearson(std::span<const double> x, std::span<const double> y) {
  require_equal("pearson", "values of y", static_cast<Index>(y.size()), static_cast<Index>(x.size()));
  if (x.size() < 2) throw ShapeError("pearson: needs at least 2 values, got " + std::to_string(x.size()));
  const double n = static_cast<double>(x.size());
  const double mx = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double my = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - mx, dy = y[i] - my;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  if (xx == 0 || yy == 0) return std::numeric_limits<double>::quiet_NaN();
  return xy / std::sqrt(xx * yy);
}

/// Spearman's rank correlation: Pearson's of the average ranks. Values, errors and NaN as there; a NaN in the input
/// gives NaN.
///
/// Source  what MTEB reports for semantic textual similarity, with cosine similarities as x and gold scores as y
inline double spearman(std::span<const double> x, std::span<const double> y) {
  const auto is_nan = [](double value) { return std::isnan(value); };
  require_equal("spearman", "values of y", static_cast<Index>(y.size()), static_cast<Index>(x.size()));
  if (std::any_of(x.begin(), x.end(), is_nan) || std::any_of(y.begin(), y.end(), is_nan))
    return std::numeric_limits<double>::quiet_NaN();
  return pearson(average_ranks(x), average_ranks(y));
}

}  // namespace embedpool
