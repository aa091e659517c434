#pragma once
#include <algorithm>
#include <cmath>
#include <span>

#include "embedpool/eval/metrics/mean_of.hpp"

namespace embedpool {

/// The mean of the scores of several seeds, and how far they lie apart.
///
///   deviation = sqrt(sum (x - mean)^2 / (n - 1)), 0 for one score
struct Spread {
  double mean = 0, deviation = 0, low = 0, high = 0;
  Index count = 0;
};

/// Errors  ShapeError without a score
inline Spread spread_of(std::span<const double> scores) {
  require_in("spread_of", "scores", static_cast<Index>(scores.size()), 1, Index(1) << 31);
  Spread spread{mean_of(scores), 0, *std::min_element(scores.begin(), scores.end()),
                *std::max_element(scores.begin(), scores.end()), static_cast<Index>(scores.size())};
  double squares = 0;
  for (const double x : scores) squares += (x - spread.mean) * (x - spread.mean);
  if (scores.size() > 1) spread.deviation = std::sqrt(squares / static_cast<double>(scores.size() - 1));
  return spread;
}

}  // namespace embedpool
