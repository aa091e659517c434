#pragma once
#include <cmath>
#include <limits>

namespace embedpool {

namespace detail {

/// The continued fraction of the incomplete beta function, by Lentz's method.
///
/// Source  Numerical Recipes, section 6.4; converges fast for x < (a + 1) / (a + b + 2)
inline double beta_fraction(double a, double b, double x) noexcept {
  constexpr double tiny = 1e-300;
  const auto kept_from_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1, d = 1 / kept_from_zero(1 - (a + b) * x / (a + 1)), result = d;
  for (int m = 1; m <= 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / kept_from_zero(1 + even * d);
    c = kept_from_zero(1 + even / c);
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / kept_from_zero(1 + odd * d);
    c = kept_from_zero(1 + odd / c);
    result *= d * c;
    if (std::abs(d * c - 1) < 4 * std::numeric_limits<double>::epsilon()) break;
  }
  return result;
}

/// The regularised incomplete beta function I_x(a, b), 0 <= x <= 1; `rest` is 1 - x, for x close to 1.
inline double incomplete_beta(double a, double b, double x, double rest) noexcept {
  if (x <= 0) return 0;
  if (rest <= 0) return 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(rest));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, rest) / b;
}

}  // namespace detail

/// The chance that a variable of Student's t distribution lies at least |t| from 0.
///
///   P(|T| >= |t|) = I_x(df / 2, 1 / 2)      x = df / (df + t^2)
///
/// Requires  degrees_of_freedom > 0
inline double student_t_two_sided(double t, double degrees_of_freedom) noexcept {
  const double square = t * t, whole = degrees_of_freedom + square;
  if (std::isinf(square)) return 0;
  return detail::incomplete_beta(degrees_of_freedom / 2, 0.5, degrees_of_freedom / whole, square / whole);
}

}  // namespace embedpool
