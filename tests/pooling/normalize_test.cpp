#include "embedpool/pooling/normalize.hpp"

#include <doctest/doctest.h>

#include "embedpool/testing/gradient_check.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

TEST_CASE("a normalised row is a unit vector, and a zero row stays zero") {
  Matrix<float> x(3, 2);
  x << 3, 4, 0, 0, 3e20f, 4e20f;  // the last one's squares are beyond float
  l2_normalize(rows_of(x));
  CHECK(x(0, 0) == 0.6f);
  CHECK(x(0, 1) == 0.8f);
  CHECK(x.row(1).isZero(0));
  CHECK(x(2, 0) == 0.6f);
  CHECK(x(2, 1) == 0.8f);
}

TEST_CASE("a row shorter than 1e-12 is divided by 1e-12") {
  Matrix<double> x(1, 2);
  x << 3e-13, 0;
  l2_normalize(rows_of(x));
  CHECK(x(0, 0) == doctest::Approx(0.3));
}

TEST_CASE("finishing cuts first and normalises then") {
  Matrix<double> x(1, 3);
  x << 3, 4, 12;
  CHECK(Finishing{}.forward(x).isApprox(x / 13));
  CHECK(Finishing{2, true}.forward(x) == (Matrix<double>(1, 2) << 0.6, 0.8).finished());
  CHECK(Finishing{2, false}.forward(x) == (Matrix<double>(1, 2) << 3, 4).finished());
  CHECK(Finishing{0, false}.forward(x) == x);
}

TEST_CASE("finishing backward agrees with central differences") {
  for (const Finishing finishing : {Finishing{0, true}, Finishing{3, true}, Finishing{3, false}, Finishing{0, false}}) {
    CAPTURE(finishing.dimensions);
    CAPTURE(finishing.normalize);
    Matrix<double> x = random_matrix(4, 5, 1);
    const Matrix<double> weights = random_matrix(4, finishing.dimensions == 0 ? 5 : 3, 2);
    const auto loss = [&] { return finishing.forward(x).cwiseProduct(weights).sum(); };
    Matrix<double> dx = Matrix<double>::Ones(4, 5);  // backward adds
    finishing.backward(x, rows_of(weights), rows_of(dx));
    dx.array() -= 1;
    // The quotient is wrong by about 1e-10.
    CHECK(testing::relative_error(dx, testing::numeric_gradient(x, loss)) < 1e-8);
  }
}

TEST_CASE("the gradient of a row shorter than 1e-12 is that of a division by 1e-12") {
  Matrix<double> x = Matrix<double>::Zero(1, 2), dx = x;
  Matrix<double> dy(1, 2);
  dy << 1, -2;
  l2_normalize_backward(Rows<const double>(rows_of(x)), Rows<const double>(rows_of(dy)), rows_of(dx));
  CHECK(dx(0, 0) == doctest::Approx(1e12));
  CHECK(dx(0, 1) == doctest::Approx(-2e12));
}

TEST_CASE("more dimensions than there are, or none, are refused") {
  const Matrix<float> x = Matrix<float>::Ones(1, 3);
  CHECK_THROWS_WITH_AS((Finishing{4, true}.forward(x)), "truncate: dimensions must be in [1, 3], got 4", ShapeError);
  CHECK_THROWS_AS((Finishing{-1, true}.forward(x)), ShapeError);
}
