#include <doctest/doctest.h>

#include <Eigen/QR>
#include <algorithm>
#include <array>
#include <limits>
#include <random>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/layers/layer_cosine.hpp"
#include "embedpool/eval/layers/linear_cka.hpp"
#include "embedpool/eval/layers/stacked_layers.hpp"

using namespace embedpool;

namespace {

Matrix<float> normal(Index rows, Index cols, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> value(0, 1);
  Matrix<float> x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = value(random);
  return x;
}

/// Layers side by side.
Matrix<float> stacked(const std::vector<Matrix<float>>& layers) {
  const Index width = layers.front().cols();
  Matrix<float> states(layers.front().rows(), width * static_cast<Index>(layers.size()));
  for (std::size_t k = 0; k < layers.size(); ++k) states.middleCols(static_cast<Index>(k) * width, width) = layers[k];
  return states;
}

LinearCka cka(const Matrix<float>& states, Index layers) {
  SerialExecutor serial;
  return linear_cka(StackedLayers(rows_of(states), layers), ExecutorRef(serial));
}
Matrix<double> cosine(const Matrix<float>& states, Index layers) {
  SerialExecutor serial;
  return mean_layer_cosine(StackedLayers(rows_of(states), layers), ExecutorRef(serial));
}

/// States are floats and so are the products of them: sums of some hundred terms keep five digits.
constexpr double float_sums = 1e-5;
/// Cosines are sums of a few terms in double.
constexpr double double_sums = 1e-12;

}  // namespace

TEST_CASE("the cosine of two layers is the mean over texts, worked by hand, and 0 for a zero state") {
  // text 0: (3 4) and (4 3): 24 / 25; text 1: (1 0) and (0 1): 0; text 2: zero and anything: 0
  const Matrix<float> states{{3, 4, 4, 3}, {1, 0, 0, 1}, {0, 0, 1, 1}};
  const Matrix<double> c = cosine(states, 2);
  CHECK(c(0, 1) == doctest::Approx(0.96 / 3).epsilon(double_sums));
  CHECK(c(1, 0) == c(0, 1));
  CHECK(c(0, 0) == doctest::Approx(2.0 / 3).epsilon(double_sums));
  CHECK(c(1, 1) == doctest::Approx(1).epsilon(double_sums));
}

TEST_CASE("CKA is its definition, worked by hand") {
  // x = (0 1 2), y = (0 3 0), centred (-1 0 1) and (-1 2 -1): at right angles
  CHECK(cka(Matrix<float>{{0, 0}, {1, 3}, {2, 0}}, 2).similarity(0, 1) == doctest::Approx(0).epsilon(float_sums));
  // One dimension each: CKA is the square of the correlation. x = (0 1 2), y = (0 0 3): r^2 = 3^2 / (2 * 6) = 3/4
  const LinearCka one = cka(Matrix<float>{{0, 0}, {1, 0}, {2, 3}}, 2);
  CHECK(one.similarity(0, 1) == doctest::Approx(0.75).epsilon(float_sums));
  // and the mean of r^2 over the six orders of y is 1 / (n - 1)
  CHECK(one.chance(0, 1) == doctest::Approx(0.5).epsilon(float_sums));
  // X: the corners of a square, centred; Y: its first coordinate. |X'Y|^2 = 16, |X'X| = sqrt(32), |Y'Y| = 4
  const Matrix<float> square{{1, 1, 1, 0}, {1, -1, 1, 0}, {-1, 1, -1, 0}, {-1, -1, -1, 0}};
  CHECK(cka(square, 2).similarity(0, 1) == doctest::Approx(std::sqrt(0.5)).epsilon(float_sums));
}

TEST_CASE("CKA does not see rotations, one factor for a layer, and what all texts share; it does see single dimensions") {
  const Matrix<float> x = normal(150, 6, 1);
  const Matrix<float> q = Eigen::HouseholderQR<Matrix<float>>(normal(6, 6, 2)).householderQ();
  Matrix<float> shifted = 1e-20f * x * q, stretched = x;
  shifted.rowwise() += RowVector<float>::Constant(6, 1e-20f);
  stretched.col(0) *= 30;
  const LinearCka result = cka(stacked({x, x * q, 1e20f * x, shifted, stretched}), 5);
  CHECK(result.similarity(0, 0) == 1.0);
  for (const Index same : {1, 2, 3}) CHECK(result.similarity(0, same) == doctest::Approx(1).epsilon(float_sums));
  CHECK(result.similarity(0, 4) < 0.6);  // one dimension of six: near sqrt(1 / 6)
}

TEST_CASE("unrelated layers have the similarity that chance says, about p / (n + p) for p equal dimensions") {
  const LinearCka result = cka(stacked({normal(400, 10, 3), normal(400, 10, 4)}), 2);
  // |K|^2 p / (tr K)^2 - 1 of a sample is the variance of its eigenvalues around 1: (p + 1) / n, give or take 2 / n. That
  // is 0.4 % of the chance level of two layers, 0.7 % of the ratio of two: five and four of these.
  CHECK(std::abs(result.chance(0, 1) * 410 / 10 - 1) < 0.02);
  CHECK(std::abs(result.similarity(0, 1) / result.chance(0, 1) - 1) < 0.42);  // three deviations: sqrt(2) / p of it each
  CHECK(std::abs(result.chance(0, 0) / result.chance(1, 1) - 1) < 0.03);
}

TEST_CASE("the chance level is the mean over all orders of the texts") {
  const Matrix<float> x = normal(5, 3, 5), y = normal(5, 3, 6);
  std::array<Index, 5> order{0, 1, 2, 3, 4};
  double sum = 0, orders = 0;
  do {
    Matrix<float> other(5, 3);
    for (Index i = 0; i < 5; ++i) other.row(i) = y.row(order[static_cast<std::size_t>(i)]);
    sum += cka(stacked({x, other}), 2).similarity(0, 1);
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(cka(stacked({x, y}), 2).chance(0, 1) == doctest::Approx(sum / orders).epsilon(float_sums));
}

TEST_CASE("a layer with one state for all texts is like nothing, itself included, and nothing is not a number") {
  Matrix<float> same(70, 4);
  same.rowwise() = RowVector<float>{{0.1f, 1e6f, 3e-7f, -12345.678f}};
  const Matrix<float> states = stacked({normal(70, 4, 7), same});
  const LinearCka result = cka(states, 2);
  CHECK(result.similarity(0, 0) == 1.0);
  for (const Index i : {0, 1}) {
    CHECK(result.similarity(i, 1) == 0.0);
    CHECK(result.chance(i, 1) == 0.0);
  }
  const Matrix<float> z = standardised(StackedLayers(rows_of(states), 2));
  CHECK(z.rightCols(4).isZero(0));
  CHECK(cosine(z, 2)(1, 1) == 0.0);
}

TEST_CASE("standardised states have mean 0 and deviation 1 in every dimension of every layer") {
  Matrix<float> x = normal(200, 3, 8);
  x.col(1) = 1e4f * x.col(1).array() + 1e5f;
  const Matrix<float> z = standardised(StackedLayers(rows_of(stacked({x, 2 * x})), 2));
  for (Index j = 0; j < 6; ++j) {
    CHECK(z.col(j).cast<double>().mean() == doctest::Approx(0).epsilon(float_sums));
    CHECK(z.col(j).cast<double>().squaredNorm() / 200 == doctest::Approx(1).epsilon(float_sums));
  }
  CHECK(cosine(z, 2)(0, 1) == doctest::Approx(1).epsilon(float_sums));
}

TEST_CASE("similarities do not depend on the threads, to the bit") {
  const Matrix<float> states = normal(130, 60, 9);  // more than one block of texts
  ThreadPool threads(3);
  const StackedLayers layers(rows_of(states), 5);
  CHECK(linear_cka(layers, ExecutorRef(threads)).similarity == cka(states, 5).similarity);
  CHECK(mean_layer_cosine(layers, ExecutorRef(threads)) == cosine(states, 5));
}

TEST_CASE("shapes that do not fit and states that are not finite are refused by name") {
  Matrix<float> states = normal(3, 6, 10);
  CHECK_THROWS_WITH_AS(StackedLayers(rows_of(states), 4), doctest::Contains("columns modulo layers"), ShapeError);
  CHECK_THROWS_AS(StackedLayers(rows_of(states), 0), ShapeError);
  CHECK_THROWS_WITH_AS(cka(states.topRows(1), 2), doctest::Contains("linear_cka: texts"), ShapeError);
  CHECK_THROWS_AS(standardised(StackedLayers(rows_of(states).middle_rows(0, 1), 2)), ShapeError);
  states(1, 4) = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH_AS(StackedLayers(rows_of(states), 2), doctest::Contains("text 1 has a state that is not finite in layer 1"),
                       ShapeError);
}
