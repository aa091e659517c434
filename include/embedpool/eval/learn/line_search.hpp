#pragma once
#include <algorithm>
#include <cmath>

namespace embedpool {

/// A point on a line: the step, the function's value there and its slope along the line.
struct LinePoint {
  double step = 0, value = 0, slope = 0;
};

namespace detail {

/// The interval [best, other] that a line search keeps, and the next trial step from it: safeguarded cubic and quadratic
/// interpolation.
///
/// Source  J. J. Moré and D. J. Thuente 1994, MINPACK-2 routine dcstep
struct StepInterval {
  LinePoint best, other;
  bool brackets = false;  ///< a minimum lies between the two

  /// Takes in a trial and gives the next step, within [least, most] while nothing is bracketed.
  double advance(const LinePoint& trial, double least, double most) noexcept {
    const double next = next_step(trial, least, most);
    if (trial.value > best.value) {
      other = trial;
    } else {
      if (turns(trial)) other = best;
      best = trial;
    }
    return next;
  }

 private:
  bool turns(const LinePoint& trial) const noexcept { return trial.slope * std::copysign(1.0, best.slope) < 0; }

  /// The minimum of the cubic through two points with these slopes, seen from `from`; gamma and theta as in the source.
  struct Cubic {
    double theta, gamma;
    Cubic(const LinePoint& a, const LinePoint& b) noexcept
        : theta(3 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope) {
      const double s = std::max({std::abs(theta), std::abs(a.slope), std::abs(b.slope)});
      gamma = s > 0 ? s * std::sqrt(std::max(0.0, (theta / s) * (theta / s) - (a.slope / s) * (b.slope / s))) : 0;
    }
  };

  double next_step(const LinePoint& trial, double least, double most) noexcept {
    const double distance = trial.step - best.step;
    const double secant = trial.step + trial.slope / (trial.slope - best.slope) * (best.step - trial.step);
    if (trial.value > best.value) {  // higher: the minimum is bracketed
      Cubic c(best, trial);
      if (distance < 0) c.gamma = -c.gamma;
      const double r = (c.gamma - best.slope + c.theta) / (c.gamma - best.slope + c.gamma + trial.slope);
      const double cubic = best.step + r * distance;
      const double quadratic =
          best.step + best.slope / ((best.value - trial.value) / distance + best.slope) / 2 * distance;
      brackets = true;
      return std::abs(cubic - best.step) < std::abs(quadratic - best.step) ? cubic : cubic + (quadratic - cubic) / 2;
    }
    if (turns(trial)) {  // lower, and the slopes have opposite signs: bracketed
      Cubic c(best, trial);
      if (distance > 0) c.gamma = -c.gamma;
      const double r = (c.gamma - trial.slope + c.theta) / (c.gamma - trial.slope + c.gamma + best.slope);
      const double cubic = trial.step - r * distance;
      brackets = true;
      return std::abs(cubic - trial.step) > std::abs(secant - trial.step) ? cubic : secant;
    }
    if (std::abs(trial.slope) < std::abs(best.slope)) {  // lower, same sign, and flatter
      Cubic c(best, trial);
      if (distance > 0) c.gamma = -c.gamma;
      const double r = (c.gamma - trial.slope + c.theta) / (c.gamma + (best.slope - trial.slope) + c.gamma);
      const double cubic = r < 0 && c.gamma != 0 ? trial.step - r * distance : distance > 0 ? most : least;
      const bool cubic_is_closer = std::abs(cubic - trial.step) < std::abs(secant - trial.step);
      if (!brackets) return std::clamp(cubic_is_closer ? secant : cubic, least, most);
      const double limit = trial.step + 0.66 * (other.step - trial.step);
      const double step = cubic_is_closer ? cubic : secant;
      return distance > 0 ? std::min(limit, step) : std::max(limit, step);
    }
    if (!brackets) return distance > 0 ? most : least;  // lower, same sign, and no flatter
    Cubic c(trial, other);
    if (trial.step > other.step) c.gamma = -c.gamma;
    const double r = (c.gamma - trial.slope + c.theta) / (c.gamma - trial.slope + c.gamma + other.slope);
    return trial.step + r * (other.step - trial.step);
  }
};

}  // namespace detail

/// What a line search ends with: the point it accepts; `found` is false when `evaluations` reached the limit first, or
/// the direction does not descend.
struct LineSearchResult {
  LinePoint point;
  int evaluations = 0;
  bool found = false;
};

/// A step that satisfies the strong Wolfe conditions with the constants of L-BFGS-B,
///
///   f(s) <= f(0) + 0.001 s f'(0)      |f'(s)| <= 0.9 |f'(0)|
///
/// or the best one that rounding lets it find. `at(step)` gives the LinePoint there.
/// Source  MINPACK-2 routine dcsrch with xtol 0.1, as L-BFGS-B 3.0 calls it
template <class Function>
LineSearchResult line_search(const LinePoint& start, double first_step, double longest_step, int most_evaluations,
                             const Function& at) {
  constexpr double decrease = 1e-3, curvature = 0.9, tolerance = 0.1, growth_low = 1.1, growth_high = 4;
  LineSearchResult result{start};
  if (start.slope >= 0) return result;
  const double wanted = decrease * start.slope;
  detail::StepInterval interval{start, start};
  double width = longest_step, width_before = 2 * width, low = 0, high = first_step + growth_high * first_step;
  bool first_stage = true;
  for (double step = first_step; result.evaluations < most_evaluations;) {
    const LinePoint trial = at(step);
    ++result.evaluations;
    const double bound = start.value + step * wanted;
    if (first_stage && trial.value <= bound && trial.slope >= 0) first_stage = false;
    const bool no_progress = interval.brackets && (step <= low || step >= high || high - low <= tolerance * high);
    const bool at_longest = step == longest_step && trial.value <= bound && trial.slope <= wanted;
    const bool at_zero = step == 0 && (trial.value > bound || trial.slope >= wanted);
    const bool satisfied = trial.value <= bound && std::abs(trial.slope) <= curvature * -start.slope;
    if (no_progress || at_longest || at_zero || satisfied) {
      result.point = trial;
      result.found = true;
      return result;
    }
    if (first_stage && trial.value <= interval.best.value && trial.value > bound) {
      // Until a step decreases enough, the function less its wanted decrease is searched.
      const auto shift = [wanted](LinePoint p, double sign) {
        p.value -= sign * p.step * wanted;
        p.slope -= sign * wanted;
        return p;
      };
      interval.best = shift(interval.best, 1);
      interval.other = shift(interval.other, 1);
      step = interval.advance(shift(trial, 1), low, high);
      interval.best = shift(interval.best, -1);
      interval.other = shift(interval.other, -1);
    } else {
      step = interval.advance(trial, low, high);
    }
    const double best = interval.best.step, other = interval.other.step;
    if (interval.brackets) {
      if (std::abs(other - best) >= 0.66 * width_before) step = best + 0.5 * (other - best);
      width_before = width;
      width = std::abs(other - best);
      low = std::min(best, other);
      high = std::max(best, other);
    } else {
      low = step + growth_low * (step - best);
      high = step + growth_high * (step - best);
    }
    step = std::clamp(step, 0.0, longest_step);
    if (interval.brackets && (step <= low || step >= high || high - low <= tolerance * high)) step = best;
  }
  return result;
}

}  // namespace embedpool
