#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "embedpool/eval/report/number.hpp"

namespace embedpool::report {

/// Whether a chart can show a value: it is finite and at most 1e12 in size. All charts treat any other as one that is
/// missing, so that nothing in a drawing is NaN, infinite or wider than the page.
inline bool drawable(double value) noexcept { return std::abs(value) <= 1e12; }

/// The range of the drawable among the values that were added.
struct Range {
  double low = 0, high = 0;
  bool empty = true;

  void add(double value) {
    if (!drawable(value)) return;
    low = empty ? value : std::min(low, value);
    high = empty ? value : std::max(high, value);
    empty = false;
  }
};

/// A scale with round ticks: steps of 1, 2 or 5 times a power of ten that cover the range, about `most` of them. An empty
/// range becomes [0, 1]; a single value, or values closer than 1e-9 of their size or 1e-12, get room on both sides.
class Axis {
 public:
  Axis(Range range, int most, bool whole_steps = false) {
    if (range.empty) range = {0, 1, false};
    double span = range.high - range.low;
    if (!(span > std::max(1e-12, 1e-9 * std::max(std::abs(range.low), std::abs(range.high))))) {
      span = whole_steps ? 2 : std::max(std::abs(range.low) * 0.1, 1e-3);
      range.low -= span / 2;
      range.high += span / 2;
    }
    const double least = span / most * (1 - 1e-9);  // so that rounding does not double a step
    int power = static_cast<int>(std::floor(std::log10(least)));
    double unit = std::pow(10.0, power);
    if (least / unit > 5) unit *= 10, ++power;
    step_ = least <= unit ? unit : least <= 2 * unit ? 2 * unit : 5 * unit;
    if (whole_steps && step_ < 1) step_ = 1, power = 0;
    decimals_ = std::clamp(-power, 0, 12);
    low_ = std::floor(range.low / step_ + 1e-9) * step_;
    high_ = std::ceil(range.high / step_ - 1e-9) * step_;
  }

  double low() const noexcept { return low_; }
  double high() const noexcept { return high_; }
  double fraction(double value) const noexcept { return (value - low_) / (high_ - low_); }

  std::vector<double> ticks() const {
    std::vector<double> all;
    const long count = std::lround((high_ - low_) / step_);
    for (long i = 0; i <= count; ++i) all.push_back(low_ + static_cast<double>(i) * step_);
    return all;
  }
  std::string tick_text(double value) const { return fixed(value, decimals_); }

 private:
  double low_ = 0, high_ = 1, step_ = 1;
  int decimals_ = 0;
};

}  // namespace embedpool::report
