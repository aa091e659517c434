#pragma once
#include <numeric>
#include <span>

#include "embedpool/core/error.hpp"

namespace embedpool {

/// The arithmetic mean. Errors: ShapeError without values.
inline double mean_of(std::span<const double> values) {
  if (values.empty()) throw ShapeError("mean_of: needs at least one value");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace embedpool
