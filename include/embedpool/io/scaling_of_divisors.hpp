#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "embedpool/model/rotary_scaling.hpp"

namespace embedpool::io {

namespace detail {

/// Numbers of a llama3 scaling that turns `plain` frequencies into `scaled` ones, where there is one. Its share of the plain
/// frequency rises on a line from 1 / factor to 1 (see RotaryScaling):
///
///   scaled / plain = 1 / factor + (1 - 1 / factor) s,   s = slope f + start cut to [0, 1]
///
/// and slope and start are all that original length and low and high factor say: the length is chosen whole, the low factor
/// near 1. Frequencies on the line give it, else any line that parts those below from those above.
inline RotaryScaling llama3_scaling(double factor, const std::vector<double>& plain, const std::vector<double>& scaled) {
  constexpr double rounding = 1e-4;  // far above that of float32, in which divisors are stored: such ends of the line are left out
  double below = 0, above = std::numeric_limits<double>::infinity();  // frequencies next to the line
  std::vector<std::pair<double, double>> on_line;  // f and s; frequencies fall
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double s = (scaled[i] / plain[i] - 1 / factor) / (1 - 1 / factor);
    if (s <= rounding) below = std::max(below, plain[i]);
    else if (s >= 1 - rounding) above = std::min(above, plain[i]);
    else on_line.emplace_back(plain[i], s);
  }
  above = std::isinf(above) ? 2 * plain.front() : above;
  double slope = 2 / (above - below), start = -slope * (below + (above - below) / 4);
  if (!on_line.empty()) {
    const auto [f, s] = on_line.front();
    const auto [g, t] = on_line.back();
    slope = on_line.size() > 1 ? (s - t) / (f - g) : 1.01 * std::max(s / (f - below), (1 - s) / (above - f));
    start = s - slope * f;
  }
  RotaryScaling scaling;
  scaling.kind = RotaryScalingKind::llama3;
  scaling.factor = factor;
  const double turns = 2 * std::numbers::pi;
  scaling.original_positions = std::max(1.0, std::round(turns * slope / -start));
  const double width = scaling.original_positions / (turns * slope);
  scaling.low_frequency_factor = -start * width;
  scaling.high_frequency_factor = scaling.low_frequency_factor + width;
  return scaling;
}

}  // namespace detail

/// The scaling whose frequencies GGUF files hold as divisors of the plain ones. They do not name its numbers: the kind is
/// linear when all are equal, else llama3, with the factors 1 and 4 of every Llama 3 and a power of two as original length
/// where these give the divisors. Nothing when no scaling does.
inline std::optional<RotaryScaling> scaling_of_divisors(double theta, const std::vector<double>& scaled) {
  const auto dimensions = static_cast<Index>(2 * scaled.size());
  const std::vector<double> plain = rotary_frequencies(theta, dimensions);
  RotaryScaling scaling;
  for (std::size_t i = 0; i < scaled.size(); ++i) scaling.factor = std::max(scaling.factor, plain[i] / scaled[i]);
  const double whole = std::round(scaling.factor * 1e4) / 1e4;  // as people write factors
  if (std::abs(whole - scaling.factor) <= 1e-6 * whole) scaling.factor = whole;
  const auto fits = [&](const RotaryScaling& candidate) {
    const std::vector<double> made = rotary_frequencies(theta, dimensions, candidate);
    // Divisors are stored as float32, and were computed in it by some writers.
    return std::equal(made.begin(), made.end(), scaled.begin(),
                      [](double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); });
  };
  for (const auto kind : {RotaryScalingKind::none, RotaryScalingKind::linear}) {
    scaling.kind = kind;
    if (fits(scaling)) return scaling;
  }
  scaling.kind = RotaryScalingKind::llama3;
  for (scaling.original_positions = 16; scaling.original_positions < 0x1p30; scaling.original_positions *= 2)
    if (fits(scaling)) return scaling;
  scaling = detail::llama3_scaling(scaling.factor, plain, scaled);
  return fits(scaling) ? std::optional(scaling) : std::nullopt;
}

}  // namespace embedpool::io
