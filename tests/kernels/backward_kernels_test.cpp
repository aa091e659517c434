#include <doctest/doctest.h>

#include "embedpool/core/matrix.hpp"
#include "embedpool/kernels/column_sum.hpp"
#include "embedpool/kernels/gated_backward.hpp"
#include "embedpool/kernels/gemm.hpp"
#include "embedpool/kernels/gemm_tn.hpp"
#include "embedpool/kernels/norm_backward.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

namespace {

/// What the difference quotient itself is wrong by, with room: about step^2 + epsilon / step.
constexpr double quotient_error = 1e-8;

/// Widths of a single value, odd, a register's, and beyond a job of columns.
constexpr Index widths[] = {1, 7, 16, 67, 130};
constexpr Index heights[] = {1, 5, 37};

double mix(const Matrix<double>& out, const Matrix<double>& weights) { return out.cwiseProduct(weights).sum(); }

}  // namespace

TEST_CASE_TEMPLATE("the product over rows agrees with its definition and adds to what is there", S, float, double) {
  SerialExecutor serial;
  for (const Index rows : {1, 5, 64, 131, 2500})  // the last is beyond a block of the sum
    for (const Index m : {1, 7, 67})
      for (const Index n : {1, 6, 100}) {
        const Matrix<S> a = random_matrix<S>(rows, m, 1), b = random_matrix<S>(rows, n, 2);
        Matrix<S> c = random_matrix<S>(m, n, 3), expected = c;
        scalar::gemm_tn(rows_of(a), rows_of(b), rows_of(expected));
        gemm_tn(rows_of(a), rows_of(b), rows_of(c), serial);
        // Two orders of a sum of `rows` products and what was there: each rounds every partial sum and, without fused
        // multiply-adds, every product, and the largest of those are near 16.
        const double bound = 16.0 * static_cast<double>(rows + 1) * std::numeric_limits<S>::epsilon();
        CHECK((c - expected).cwiseAbs().maxCoeff() <= bound);
      }
}

TEST_CASE_TEMPLATE("the product over rows has the same bits whether the rows come at once or in parts", S, float, double) {
  SerialExecutor serial;
  const Matrix<S> a = random_matrix<S>(150, 40, 1), b = random_matrix<S>(150, 85, 2);
  Matrix<S> at_once = Matrix<S>::Zero(40, 85), in_parts = at_once;
  gemm_tn(rows_of(a), rows_of(b), rows_of(at_once), serial);
  for (const auto& [first, count] : {std::pair<Index, Index>{0, 1}, {1, 70}, {71, 79}})
    gemm_tn(rows_of(a).middle_rows(first, count), rows_of(b).middle_rows(first, count), rows_of(in_parts), serial);
  CHECK(at_once == in_parts);
}

TEST_CASE("the product over rows takes views with a stride") {
  SerialExecutor serial;
  const Matrix<double> a = random_matrix<double>(9, 20, 1), b = random_matrix<double>(9, 30, 2);
  Matrix<double> c = Matrix<double>::Zero(8, 40), expected = Matrix<double>::Zero(8, 13);
  gemm_tn(rows_of(a).middle_cols(3, 8), rows_of(b).middle_cols(5, 13), rows_of(c).middle_cols(2, 13), serial);
  scalar::gemm_tn(rows_of(a).middle_cols(3, 8), rows_of(b).middle_cols(5, 13), rows_of(expected));
  // Nine products of size up to about 10, in double: 9 x 10 x 2.2e-16 is 2e-14.
  CHECK((c.middleCols(2, 13) - expected).cwiseAbs().maxCoeff() < 1e-13);
  CHECK(c.leftCols(2).cwiseAbs().maxCoeff() == 0);
  CHECK(c.rightCols(25).cwiseAbs().maxCoeff() == 0);
}

TEST_CASE("gradients of weights have the same bits whoever runs the jobs") {
  SerialExecutor serial;
  testing::ShuffledExecutor shuffled(5, 3);
  const Matrix<float> a = random_matrix<float>(211, 90, 1), b = random_matrix<float>(211, 300, 2);
  Matrix<float> alone = Matrix<float>::Zero(90, 300), together = alone;
  gemm_tn(rows_of(a), rows_of(b), rows_of(alone), serial);
  gemm_tn(rows_of(a), rows_of(b), rows_of(together), shuffled);
  CHECK(alone == together);
  RowVector<float> gain = RowVector<float>::Zero(300), other = gain, sum = gain, other_sum = gain;
  const Matrix<float> x = random_matrix<float>(211, 300, 4);
  rms_norm_gain_backward(rows_of(x), 1e-5f, rows_of(b), gain.data(), serial);
  rms_norm_gain_backward(rows_of(x), 1e-5f, rows_of(b), other.data(), shuffled);
  column_sum(rows_of(b), sum.data(), serial);
  column_sum(rows_of(b), other_sum.data(), shuffled);
  CHECK(gain == other);
  CHECK(sum == other_sum);
}

TEST_CASE("the gradient of a bias is the sum of the rows, added") {
  SerialExecutor serial;
  for (const Index width : widths) {
    const Matrix<double> x = random_matrix<double>(37, width, 1);
    RowVector<double> sum = RowVector<double>::Ones(width);
    column_sum(rows_of(x), sum.data(), serial);
    CHECK((sum - x.colwise().sum() - RowVector<double>::Ones(width)).cwiseAbs().maxCoeff() < 1e-12);
  }
}

TEST_CASE("RMSNorm backward agrees with central differences, in input and gain") {
  SerialExecutor serial;
  const double epsilon = 0.1;  // large enough to show
  for (const Index rows : heights)
    for (const Index width : widths) {
      if (rows * width > 1000) continue;  // the quotients take quadratic time
      CAPTURE(rows);
      CAPTURE(width);
      Matrix<double> x = random_matrix<double>(rows, width, 1), gain = random_matrix<double>(1, width, 2);
      const Matrix<double> dy = random_matrix<double>(rows, width, 3);
      const auto loss = [&] {
        Matrix<double> y(rows, width);
        rms_norm(rows_of(std::as_const(x)), gain.data(), epsilon, rows_of(y), serial);
        return mix(y, dy);
      };
      Matrix<double> dx = Matrix<double>::Ones(rows, width), dgain = Matrix<double>::Ones(1, width);
      rms_norm_backward(rows_of(std::as_const(x)), gain.data(), epsilon, rows_of(dy), rows_of(dx), serial);
      rms_norm_gain_backward(rows_of(std::as_const(x)), epsilon, rows_of(dy), dgain.data(), serial);
      dx.array() -= 1;  // backward adds
      dgain.array() -= 1;
      CHECK(testing::relative_error(dx, testing::numeric_gradient(x, loss)) < quotient_error);
      CHECK(testing::relative_error(dgain, testing::numeric_gradient(gain, loss)) < quotient_error);
    }
}

TEST_CASE_TEMPLATE("RMSNorm backward in registers agrees with its definition", S, float, double) {
  for (const Index width : widths) {
    const Matrix<S> x = random_matrix<S>(1, width, 1), gain = random_matrix<S>(1, width, 2);
    const Matrix<S> dy = random_matrix<S>(1, width, 3);
    Matrix<S> dx = random_matrix<S>(1, width, 4), expected = dx;
    const std::span<const S> row(x.data(), static_cast<std::size_t>(width));
    scalar::rms_norm_backward_row<S>(row, gain.data(), S(1e-5), dy.data(), expected.data());
    simd::rms_norm_backward_row<S>(row, gain.data(), S(1e-5), dy.data(), dx.data());
    // Values near 1; sums of 130 terms in another order, divided by their number.
    CHECK((dx - expected).cwiseAbs().maxCoeff() <= S(60) * std::numeric_limits<S>::epsilon());
  }
}

TEST_CASE_TEMPLATE("gated product backward agrees with central differences", Activation, Silu, GeluTanh, GeluErf) {
  SerialExecutor serial;
  for (const Index rows : heights)
    for (const Index width : {1, 7, 16}) {
      Matrix<double> gate = 3 * random_matrix<double>(rows, width, 1), up = random_matrix<double>(rows, width, 2);
      const Matrix<double> dout = random_matrix<double>(rows, width, 3);
      const auto loss = [&] {
        Matrix<double> out(rows, width);
        gated_product<Activation>(rows_of(std::as_const(gate)), rows_of(std::as_const(up)), rows_of(out), serial);
        return mix(out, dout);
      };
      Matrix<double> dgate = gate, dup = up;
      gated_product_backward<Activation>(rows_of(dgate), rows_of(dup), rows_of(dout), serial);
      CHECK(testing::relative_error(dgate, testing::numeric_gradient(gate, loss)) < quotient_error);
      CHECK(testing::relative_error(dup, testing::numeric_gradient(up, loss)) < quotient_error);
    }
}

TEST_CASE_TEMPLATE("derivatives of activations in registers agree with those of single values", Activation, Silu, GeluTanh,
                   GeluErf) {
  for (double x = -30; x <= 30; x += 0.37) {
    const double one = Activation::derivative(x);
    // xsimd's erf in double has 18 roundings.
    CHECK(Activation::derivative(simd::Vector<double>(x)).get(0) == doctest::Approx(one).epsilon(1e-13).scale(1));
    const float single = static_cast<float>(x);
    // Derivatives are at most 1.2; x times a factor near 0 loses up to |x| roundings.
    CHECK(std::abs(static_cast<double>(Activation::derivative(simd::Vector<float>(single)).get(0)) -
                   Activation::derivative(static_cast<double>(single))) < 4e-6);
  }
}

TEST_CASE_TEMPLATE("the gated product has the bits of the product that makes gate and up itself", Activation, Silu, GeluTanh,
                   GeluErf) {
  SerialExecutor serial;
  for (const Index width : {1, 7, 16, 54, 67}) {
    const Matrix<float> x = random_matrix<float>(9, 20, 1), wg = random_matrix<float>(width, 20, 2);
    const Matrix<float> wu = random_matrix<float>(width, 20, 3);
    const auto view = [](const Matrix<float>& m) {
      return WeightView{reinterpret_cast<const std::byte*>(m.data()), Format::F32, m.rows(), m.cols()};
    };
    Matrix<float> gate(9, width), up(9, width), out(9, width), expected(9, width);
    gemm_nt(rows_of(x), view(wg), StoreTo<float>{rows_of(gate)}, serial);
    gemm_nt(rows_of(x), view(wu), StoreTo<float>{rows_of(up)}, serial);
    gemm_nt_gated<Activation>(rows_of(x), view(wg), view(wu), rows_of(expected), serial);
    gated_product<Activation>(rows_of(std::as_const(gate)), rows_of(std::as_const(up)), rows_of(out), serial);
    CHECK(out == expected);
  }
}
