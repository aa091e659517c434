#pragma once
#include <Eigen/Core>

#include "embedpool/core/rows.hpp"

namespace embedpool {

/// Row-major owner of a matrix. A linear layer is y = x W^T with W [out, in].
template <Real S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// One embedding, bias or gain.
template <Real S>
using RowVector = Eigen::Matrix<S, 1, Eigen::Dynamic, Eigen::RowMajor>;

/// Views of a matrix, and Eigen maps of a view: no copies.
template <Real S>
Rows<S> rows_of(Matrix<S>& m) noexcept {
  return {m.data(), m.rows(), m.cols()};
}
template <Real S>
Rows<const S> rows_of(const Matrix<S>& m) noexcept {
  return {m.data(), m.rows(), m.cols()};
}
template <Real S>
auto as_eigen(Rows<S> r) noexcept {
  return Eigen::Map<Matrix<S>, Eigen::Unaligned, Eigen::OuterStride<>>(r.data, r.rows, r.cols,
                                                                      Eigen::OuterStride<>(r.stride));
}
template <Real S>
auto as_eigen(Rows<const S> r) noexcept {
  return Eigen::Map<const Matrix<S>, Eigen::Unaligned, Eigen::OuterStride<>>(r.data, r.rows, r.cols,
                                                                            Eigen::OuterStride<>(r.stride));
}

}  // namespace embedpool
