#pragma once
#include <algorithm>
#include <cmath>

#include "embedpool/core/matrix.hpp"

namespace embedpool::testing {

/// Central differences of the scalar `loss()` in every element of x, which is put back as it was.
///
/// The quotient itself is wrong by about step^2 + 1e-16 / step times the size of the derivatives: 1e-10 in double.
template <class Loss>
Matrix<double> numeric_gradient(Rows<double> x, Loss&& loss, double step = 1e-5) {
  Matrix<double> gradient(x.rows, x.cols);
  for (Index i = 0; i < x.rows; ++i)
    for (Index j = 0; j < x.cols; ++j) {
      const double kept = x(i, j);
      const auto loss_at = [&](double value) {
        x(i, j) = value;
        return static_cast<double>(loss());
      };
      gradient(i, j) = (loss_at(kept + step) - loss_at(kept - step)) / (2 * step);
      x(i, j) = kept;
    }
  return gradient;
}
template <class Loss>
Matrix<double> numeric_gradient(Matrix<double>& x, Loss&& loss, double step = 1e-5) {
  return numeric_gradient(rows_of(x), loss, step);
}

/// Largest difference over the largest magnitude of either, or over 1e-3 where both are smaller: a gradient that is
/// zero has only the noise of the difference quotient against it.
template <class A, class B>
double relative_error(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return HUGE_VAL;
  if (a.size() == 0) return 0;
  if (!(a - b).allFinite()) return HUGE_VAL;
  const double difference = static_cast<double>((a - b).cwiseAbs().maxCoeff());
  const double largest =
      std::max({static_cast<double>(a.cwiseAbs().maxCoeff()), static_cast<double>(b.cwiseAbs().maxCoeff()), 1e-3});
  return difference / largest;
}

}  // namespace embedpool::testing
