#pragma once
#include <algorithm>
#include <deque>
#include <limits>
#include <span>
#include <vector>

#include "embedpool/eval/learn/line_search.hpp"
#include "embedpool/kernels/axpy.hpp"
#include "embedpool/kernels/dot.hpp"

namespace embedpool {

/// When L-BFGS stops. The defaults are those that scikit-learn's logistic regression gives to SciPy.
struct LbfgsOptions {
  int most_iterations = 100;
  double gradient_tolerance = 1e-4;  ///< on the largest absolute element of the gradient
  double value_tolerance = 64 * std::numeric_limits<double>::epsilon();  ///< on (f_k - f_k+1) / max(|f_k|, |f_k+1|, 1)
  int most_evaluations_a_line = 50;
  std::size_t memory = 10;  ///< pairs of steps and gradient differences that are kept
};

/// Why L-BFGS stopped. `line_search_failed`: rounding lets no step descend any more.
enum class LbfgsStop { gradient_is_small, value_is_steady, iterations_used_up, line_search_failed };

struct LbfgsResult {
  double value = 0;
  int iterations = 0;
  int evaluations = 0;
  LbfgsStop stop = LbfgsStop::iterations_used_up;
};

namespace detail {

/// The inverse Hessian as L-BFGS knows it: from pairs s = x' - x, y = g' - g, and s.y / y.y on the diagonal before them.
class LbfgsMemory {
 public:
  explicit LbfgsMemory(std::size_t pairs) : pairs_(pairs) {}

  void add(std::vector<double> s, std::vector<double> y, double sy) {
    scale_ = sy / simd::dot<double>(y, y);
    if (kept_.size() == pairs_) kept_.pop_front();
    kept_.push_back({std::move(s), std::move(y), 1 / sy, 0});
  }
  bool empty() const noexcept { return kept_.empty(); }
  void clear() noexcept {
    kept_.clear();
    scale_ = 1;
  }

  /// d = -H g by the two loops of Nocedal 1980.
  void direction(std::span<const double> g, std::vector<double>& d) {
    for (std::size_t i = 0; i < g.size(); ++i) d[i] = -g[i];
    for (auto pair = kept_.rbegin(); pair != kept_.rend(); ++pair) {
      pair->alpha = pair->inverse * simd::dot<double>(pair->s, d);
      simd::axpy<double>(-pair->alpha, pair->y, d.data());
    }
    for (double& value : d) value *= scale_;
    for (const Pair& pair : kept_) simd::axpy<double>(pair.alpha - pair.inverse * simd::dot<double>(pair.y, d), pair.s, d.data());
  }

 private:
  struct Pair {
    std::vector<double> s, y;
    double inverse;  ///< 1 / s.y
    double alpha;
  };
  std::size_t pairs_;
  std::deque<Pair> kept_;
  double scale_ = 1;
};

}  // namespace detail

/// Minimises f from x on; x holds the minimum afterwards. `f(x, g)` gives the value at x and writes the gradient to g.
///
/// The iterates are those of L-BFGS-B without bounds up to rounding: same memory, line search, first step and stopping
/// rule. The bits depend on those of f alone.
/// Source  Zhu, Byrd, Lu, Nocedal 1997, version 3.0 as in SciPy
template <class Function>
LbfgsResult minimise_lbfgs(std::vector<double>& x, const LbfgsOptions& options, Function&& f) {
  constexpr double longest_step = 1e10;
  const std::size_t n = x.size();
  const auto largest = [](const std::vector<double>& g) {
    double most = 0;
    for (const double value : g) most = std::max(most, std::abs(value));
    return most;
  };
  std::vector<double> g(n), d(n), x_before(n), g_before(n);
  detail::LbfgsMemory memory(options.memory);
  LbfgsResult result;
  result.value = f(std::span<const double>(x), std::span<double>(g));
  result.evaluations = 1;
  if (largest(g) <= options.gradient_tolerance) {
    result.stop = LbfgsStop::gradient_is_small;
    return result;
  }
  while (result.iterations < options.most_iterations) {
    memory.direction(g, d);
    x_before = x;
    g_before = g;
    const double value_before = result.value;
    const double first_step = result.iterations == 0 ? std::min(1 / std::sqrt(simd::dot<double>(d, d)), longest_step) : 1;
    const LineSearchResult line =
        line_search({0, result.value, simd::dot<double>(g, d)}, first_step, longest_step, options.most_evaluations_a_line,
                    [&](double step) {
                      for (std::size_t i = 0; i < n; ++i) x[i] = x_before[i] + step * d[i];
                      const double value = f(std::span<const double>(x), std::span<double>(g));
                      return LinePoint{step, value, simd::dot<double>(g, d)};
                    });
    result.evaluations += line.evaluations;
    if (!line.found) {
      x = x_before;
      g = g_before;
      result.stop = LbfgsStop::line_search_failed;
      if (memory.empty()) return result;
      memory.clear();  // once more from steepest descent
      continue;
    }
    ++result.iterations;
    result.value = line.point.value;
    if (largest(g) <= options.gradient_tolerance) {
      result.stop = LbfgsStop::gradient_is_small;
      return result;
    }
    if (value_before - result.value <=
        options.value_tolerance * std::max({std::abs(value_before), std::abs(result.value), 1.0})) {
      result.stop = LbfgsStop::value_is_steady;
      return result;
    }
    std::vector<double> s(n), y(n);
    for (std::size_t i = 0; i < n; ++i) s[i] = line.point.step * d[i], y[i] = g[i] - g_before[i];
    const double sy = simd::dot<double>(s, y), slope = simd::dot<double>(g_before, s);
    if (sy > std::numeric_limits<double>::epsilon() * -slope) memory.add(std::move(s), std::move(y), sy);
  }
  result.stop = LbfgsStop::iterations_used_up;
  return result;
}

}  // namespace embedpool
