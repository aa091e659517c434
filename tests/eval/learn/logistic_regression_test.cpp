#include <doctest/doctest.h>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/learn/logistic_loss.hpp"
#include "embedpool/eval/learn/logistic_regression.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

using namespace embedpool;

namespace {

struct Problem {
  Matrix<double> x;
  std::vector<Index> labels;
};

/// Rows about one random point a class. `n` is no multiple of any block.
Problem random_problem(Index n, Index width, Index classes) {
  Problem problem{Matrix<double>(n, width), {}};
  const auto uniform = [](Index a, Index b, Index c) {
    return static_cast<double>(random_word(random_key(7, a, b, c), 0)) / 0x1p32 - 0.5;
  };
  for (Index i = 0; i < n; ++i) {
    problem.labels.push_back(i % classes);
    for (Index j = 0; j < width; ++j) problem.x(i, j) = 2 * uniform(0, i % classes, j) + 3 * uniform(1, i, j);
  }
  return problem;
}

}  // namespace

TEST_CASE("the gradient of the logistic loss agrees with central differences, of two classes and of many") {
  for (const Index classes : {2, 3, 5}) {
    CAPTURE(classes);
    const Problem problem = random_problem(67, 4, classes);
    SerialExecutor serial;
    const Index outputs = classes == 2 ? 1 : classes;
    LogisticLoss<double> loss(rows_of(problem.x), problem.labels, outputs, 0.7, serial);
    std::vector<double> at(static_cast<std::size_t>(outputs * 5)), gradient(at.size()), unused(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) at[i] = static_cast<double>(random_word(3, static_cast<std::uint32_t>(i))) / 0x1p31 - 1;
    loss(at, gradient);
    for (std::size_t i = 0; i < at.size(); ++i) {
      std::vector<double> up = at, down = at;
      up[i] += 1e-5;
      down[i] -= 1e-5;
      // The difference quotient itself errs by about step^2 + epsilon / step.
      CHECK(std::abs((loss(up, unused) - loss(down, unused)) / 2e-5 - gradient[i]) < 1e-9);
    }
  }
}

TEST_CASE("the loss of zero parameters is the logarithm of the number of classes") {
  const Problem problem = random_problem(10, 3, 5);
  SerialExecutor serial;
  LogisticLoss<double> loss(rows_of(problem.x), problem.labels, 5, 1, serial);
  std::vector<double> zero(20), gradient(20);
  CHECK(loss(zero, gradient) == doctest::Approx(std::log(5.0)).epsilon(1e-14));  // 10 terms in double: a few roundings of 1e-16
}

TEST_CASE("two mirrored points are separated in the middle with the coefficient of the closed condition") {
  Matrix<double> x(2, 1);
  x << -1, 1;
  SerialExecutor serial;
  LogisticRegressionOptions options;
  options.optimiser.gradient_tolerance = 1e-12;  // as near to the minimum as doubles of size 1 are told apart
  options.optimiser.value_tolerance = 0;
  const auto model = LogisticRegression<double>::fit(rows_of(x), std::vector<Index>{0, 1}, 2, serial, options);
  const double w = model.coefficients(0, 0);
  // Stationary: w = 2 / (1 + exp(w)), to ten times the tolerance of the gradient that the search stops at.
  CHECK(std::abs(w - 2 / (1 + std::exp(w))) < 1e-11);
  CHECK(std::abs(model.intercept[0]) < 1e-11);
  CHECK(model.predict(rows_of(x), serial) == std::vector<Index>{0, 1});
}

TEST_CASE("huge embeddings overflow nothing") {
  Matrix<float> x(4, 2);
  x << 3e18f, 0, -3e18f, 0, 0, 3e18f, 0, -3e18f;
  SerialExecutor serial;
  for (const Index classes : {2, 4}) {
    const std::vector<Index> labels = classes == 2 ? std::vector<Index>{0, 1, 0, 1} : std::vector<Index>{0, 1, 2, 3};
    const auto model = LogisticRegression<float>::fit(rows_of(x), labels, classes, serial);
    CHECK(model.coefficients.allFinite());
    CHECK(std::isfinite(model.fit_result.value));
  }
}

TEST_CASE_TEMPLATE("fits and predictions do not depend on the executor, to the bit", S, float, double) {
  const Problem problem = random_problem(133, 19, 7);
  const Matrix<S> x = problem.x.template cast<S>();
  SerialExecutor serial;
  ThreadPool pool(3);
  testing::ShuffledExecutor shuffled(5);
  const auto one = LogisticRegression<S>::fit(rows_of(x), problem.labels, 7, serial);
  const auto two = LogisticRegression<S>::fit(rows_of(x), problem.labels, 7, pool);
  const auto three = LogisticRegression<S>::fit(rows_of(x), problem.labels, 7, shuffled);
  CHECK(one.coefficients == two.coefficients);
  CHECK(one.coefficients == three.coefficients);
  CHECK(one.intercept == three.intercept);
  CHECK(one.predict(rows_of(x), serial) == one.predict(rows_of(x), pool));
}

TEST_CASE("L-BFGS finds the minimum of Rosenbrock's valley, and says why it stopped") {
  LbfgsOptions options;
  options.gradient_tolerance = 1e-10;
  options.value_tolerance = 0;
  const auto valley = [](std::span<const double> x, std::span<double> g) {
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    g[0] = -2 * a - 400 * x[0] * b;
    g[1] = 200 * b;
    return a * a + 100 * b * b;
  };
  std::vector<double> x = {-1.2, 1};
  const LbfgsResult result = minimise_lbfgs(x, options, valley);
  CHECK(result.stop == LbfgsStop::gradient_is_small);
  CHECK(std::abs(x[0] - 1) < 1e-8);  // gradient tolerance over the smallest curvature, 0.4
  options.most_iterations = 3;
  x = {-1.2, 1};
  CHECK(minimise_lbfgs(x, options, valley).stop == LbfgsStop::iterations_used_up);
  x = {1, 1};
  CHECK(minimise_lbfgs(x, options, valley).iterations == 0);
}

TEST_CASE("labels out of range, one class and rows without labels are refused") {
  const Problem problem = random_problem(6, 2, 3);
  SerialExecutor serial;
  const auto fit = [&](std::vector<Index> labels, Index classes) {
    return LogisticRegression<double>::fit(rows_of(problem.x), labels, classes, serial);
  };
  CHECK_THROWS_AS(fit({0, 1, 2, 0, 1, 3}, 3), ShapeError);
  CHECK_THROWS_AS(fit({0, 1, 2, 0, 1, -1}, 3), ShapeError);
  CHECK_THROWS_AS(fit({0, 0, 0, 0, 0, 0}, 1), ShapeError);
  CHECK_THROWS_AS(fit({0, 1, 2}, 3), ShapeError);
}
