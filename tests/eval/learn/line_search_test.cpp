#include "embedpool/eval/learn/line_search.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "embedpool/eval/learn/double_sums.hpp"

using namespace embedpool;

namespace {

/// value and slope of a function of the step
template <class Function>
LineSearchResult search(const Function& at, double first_step, double longest = 1e10, int most = 20) {
  return line_search(at(0.0), first_step, longest, most, at);
}
LinePoint parabola(double s) { return {s, (s - 3) * (s - 3), 2 * (s - 3)}; }

/// The first test function of Moré and Thuente 1994, with beta = 2: a minimum at sqrt 2, and flat far out.
LinePoint flattening(double s) { return {s, -s / (s * s + 2), (s * s - 2) / ((s * s + 2) * (s * s + 2))}; }

}  // namespace

TEST_CASE("a line search ends where the function has decreased enough and its slope is small enough") {
  for (const double first : {1e-3, 0.1, 1.0, 10.0, 1e3}) {
    for (const auto at : {parabola, flattening}) {
      const LineSearchResult result = search(at, first);
      CAPTURE(first);
      REQUIRE(result.found);
      const LinePoint start = at(0.0);
      CHECK(result.point.value <= start.value + 1e-3 * result.point.step * start.slope);
      CHECK(std::abs(result.point.slope) <= 0.9 * std::abs(start.slope));
      CHECK(result.point.value == at(result.point.step).value);  // a point that was tried
    }
  }
}

TEST_CASE("a step that satisfies both conditions is taken at once") {
  const LineSearchResult result = search(parabola, 2.5);
  CHECK(result.evaluations == 1);
  CHECK(result.point.step == 2.5);
}

TEST_CASE("a line search does not ascend, keeps to the longest step, and stops at the limit of evaluations") {
  const auto up = [](double s) { return LinePoint{s, s, 1}; };
  CHECK_FALSE(search(up, 1).found);
  CHECK(search(up, 1).evaluations == 0);
  const auto down = [](double s) { return LinePoint{s, -s, -1}; };
  const LineSearchResult longest = search(down, 1, 8);
  CHECK(longest.found);
  CHECK(longest.point.step == 8);
  const LineSearchResult limited = search(down, 1, 1e10, 3);
  CHECK_FALSE(limited.found);
  CHECK(limited.evaluations == 3);
}

TEST_CASE("sums in double take every value once, for lengths around the number of chains") {
  std::array<float, 40> a{}, b{};
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>(i + 1);
    b[i] = static_cast<float>(2 * i);
  }
  for (std::size_t n = 0; n <= a.size(); ++n) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += a[i];
      squares += static_cast<double>(a[i] - b[i]) * (a[i] - b[i]);
    }
    // whole numbers below 2^53: sums in double are exact in any order
    CHECK(detail::sum_of(std::span<const float>(a.data(), n)) == sum);
    CHECK(detail::squared_distance({a.data(), n}, {b.data(), n}) == squares);
  }
  const std::array<float, 3> cancelling = {1e8f, 1.0f, -1e8f};
  CHECK(detail::sum_of(std::span<const float>(cancelling)) == 1);  // floats would lose the 1
}
