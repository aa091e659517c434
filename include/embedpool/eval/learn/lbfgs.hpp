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

/// y += a x, and then the inner product of y with z: one way through y for both.
inline double axpy_dot(double a, std::span<const double> x, std::span<double> y, std::span<const double> z) noexcept {
  using Vector = simd::Vector<double>;
  constexpr auto n = static_cast<std::size_t>(simd::lanes<double>);
  const Vector factor(a);
  Vector sum(0.0);
  std::size_t i = 0;
  for (; i + n <= y.size(); i += n) {
    const Vector value = simd::fma<double>(factor, Vector::load_unaligned(&x[i]), Vector::load_unaligned(&y[i]));
    value.store_unaligned(&y[i]);
    sum = simd::fma<double>(value, Vector::load_unaligned(&z[i]), sum);
  }
  double last = 0;
  for (; i < y.size(); ++i) last += (y[i] += a * x[i]) * z[i];
  return simd::sum_of_values(sum) + last;
}

/// The inverse Hessian as L-BFGS knows it: from pairs s = x' - x, y = g' - g, and s.y / y.y on the diagonal before them.
class LbfgsMemory {
 public:
  LbfgsMemory(std::size_t pairs, std::size_t parameters) : pairs_(pairs), parameters_(parameters) {}

  struct Pair {
    std::vector<double> s, y;
    double inverse = 0;  ///< 1 / s.y
    double alpha = 0;
  };
  /// A pair to fill: forgotten unless it is kept.
  Pair& next() {
    if (next_.s.empty()) next_.s.resize(parameters_), next_.y.resize(parameters_);
    return next_;
  }
  void keep_next(double sy) {
    scale_ = sy / simd::dot<double>(next_.y, next_.y);
    next_.inverse = 1 / sy;
    kept_.push_back(std::move(next_));
    next_ = {};
    if (kept_.size() <= pairs_) return;
    next_ = std::move(kept_.front());
    kept_.pop_front();
  }
  bool empty() const noexcept { return kept_.empty(); }
  void clear() noexcept {
    kept_.clear();
    scale_ = 1;
  }

  /// d = -H g by the two loops of Nocedal 1980.
  void direction(std::span<const double> g, std::vector<double>& d) {
    for (std::size_t i = 0; i < g.size(); ++i) d[i] = -g[i];
    if (kept_.empty()) return;
    double sd = simd::dot<double>(kept_.back().s, d);
    for (std::size_t p = kept_.size(); p-- > 0;) {
      Pair& pair = kept_[p];
      pair.alpha = pair.inverse * sd;
      if (p > 0) sd = axpy_dot(-pair.alpha, pair.y, d, kept_[p - 1].s);
      else simd::axpy<double>(-pair.alpha, pair.y, d.data());
    }
    for (double& value : d) value *= scale_;
    double yd = simd::dot<double>(kept_.front().y, d);
    for (std::size_t p = 0; p < kept_.size(); ++p) {
      const Pair& pair = kept_[p];
      const double step = pair.alpha - pair.inverse * yd;
      if (p + 1 < kept_.size()) yd = axpy_dot(step, pair.s, d, kept_[p + 1].y);
      else simd::axpy<double>(step, pair.s, d.data());
    }
  }

 private:
  std::size_t pairs_, parameters_;
  Pair next_{};
  std::deque<Pair> kept_{};
  double scale_ = 1;
};

/// The largest absolute value.
inline double largest_of(std::span<const double> values) noexcept {
  constexpr std::size_t chains = 8;  // comparisons wait for each other in one chain
  double most[chains] = {};
  std::size_t i = 0;
  for (; i + chains <= values.size(); i += chains)
    for (std::size_t j = 0; j < chains; ++j) most[j] = std::max(most[j], std::abs(values[i + j]));
  for (; i < values.size(); ++i) most[0] = std::max(most[0], std::abs(values[i]));
  return *std::max_element(most, most + chains);
}

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
  std::vector<double> g(n), d(n), x_before(n), g_before(n);
  detail::LbfgsMemory memory(options.memory, n);
  LbfgsResult result;
  result.value = f(std::span<const double>(x), std::span<double>(g));
  result.evaluations = 1;
  if (detail::largest_of(g) <= options.gradient_tolerance) {
    result.stop = LbfgsStop::gradient_is_small;
    return result;
  }
  while (result.iterations < options.most_iterations) {
    memory.direction(g, d);
    x_before.swap(x);  // both are written anew at the first trial
    g_before.swap(g);
    const double value_before = result.value;
    const double first_step = result.iterations == 0 ? std::min(1 / std::sqrt(simd::dot<double>(d, d)), longest_step) : 1;
    const LineSearchResult line =
        line_search({0, result.value, simd::dot<double>(g_before, d)}, first_step, longest_step, options.most_evaluations_a_line,
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
    if (detail::largest_of(g) <= options.gradient_tolerance) {
      result.stop = LbfgsStop::gradient_is_small;
      return result;
    }
    if (value_before - result.value <=
        options.value_tolerance * std::max({std::abs(value_before), std::abs(result.value), 1.0})) {
      result.stop = LbfgsStop::value_is_steady;
      return result;
    }
    auto& pair = memory.next();
    for (std::size_t i = 0; i < n; ++i) pair.s[i] = line.point.step * d[i], pair.y[i] = g[i] - g_before[i];
    const double sy = simd::dot<double>(pair.s, pair.y), slope = simd::dot<double>(g_before, pair.s);
    if (sy > std::numeric_limits<double>::epsilon() * -slope) memory.keep_next(sy);
  }
  result.stop = LbfgsStop::iterations_used_up;
  return result;
}

}  // namespace embedpool
