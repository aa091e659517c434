#pragma once
#include <algorithm>
#include <cmath>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"

namespace embedpool {

/// Rows scaled to length one, so that an inner product is a cosine, and the way back.
///
///   u_i = x_i / max(|x_i|, 1e-12)          dx_i = (du_i - u_i (u_i . du_i)) / max(|x_i|, 1e-12)
///
/// (Where the length is below the floor u is linear in x and the second term is left out.)
template <Real S>
class UnitRows {
 public:
  explicit UnitRows(Rows<const S> x) : units_(x.rows, x.cols), gradient_(Matrix<S>::Zero(x.rows, x.cols)), lengths_(x.rows) {
    const auto rows = as_eigen(x);
    for (Index i = 0; i < x.rows; ++i) {
      lengths_(i) = rows.row(i).norm();
      units_.row(i) = rows.row(i) / std::max(lengths_(i), floor);
    }
  }

  Rows<const S> units() const noexcept { return rows_of(units_); }
  Rows<S> gradient() noexcept { return rows_of(gradient_); }  ///< where du is added

  /// dx += du through the normalisation
  void backward(Rows<S> dx) const {
    auto out = as_eigen(dx);
    for (Index i = 0; i < units_.rows(); ++i) {
      const S radial = lengths_(i) > floor ? units_.row(i).dot(gradient_.row(i)) : S(0);
      out.row(i) += (gradient_.row(i) - radial * units_.row(i)) / std::max(lengths_(i), floor);
    }
  }

 private:
  static constexpr S floor = S(1e-12);
  Matrix<S> units_;
  Matrix<S> gradient_;
  RowVector<S> lengths_;
};

}  // namespace embedpool
