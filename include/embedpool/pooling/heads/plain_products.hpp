#pragma once
#include "embedpool/core/matrix.hpp"

/// Eigen's products for the plain versions of heads. Each kind is compiled once for a scalar, whatever expressions it
/// is given: written out in place they are most of the time that a head takes to compile.
namespace embedpool::head_math {

namespace detail {
/// A matrix, or a block of one, as rows. Requires values of a row side by side
template <class M>
Rows<const typename M::Scalar> plain_rows(const M& m) noexcept {
  static_assert(M::IsRowMajor);
  return {m.data(), m.rows(), m.cols(), m.outerStride()};
}
template <Real S>
[[gnu::noinline]] Matrix<S> plain_nn(Rows<const S> a, Rows<const S> b) {
  Matrix<S> c(a.rows, b.cols);
  c.noalias() = as_eigen(a) * as_eigen(b);
  return c;
}
template <Real S>
[[gnu::noinline]] Matrix<S> plain_nt(Rows<const S> a, Rows<const S> b) {
  Matrix<S> c(a.rows, b.rows);
  c.noalias() = as_eigen(a) * as_eigen(b).transpose();
  return c;
}
template <Real S>
[[gnu::noinline]] Matrix<S> plain_tn(Rows<const S> a, Rows<const S> b) {
  Matrix<S> c(a.cols, b.cols);
  c.noalias() = as_eigen(a).transpose() * as_eigen(b);
  return c;
}
}  // namespace detail

/// A B
template <class A, class B>
auto plain_nn(const A& a, const B& b) {
  return detail::plain_nn<typename A::Scalar>(detail::plain_rows(a), detail::plain_rows(b));
}
/// A B^T
template <class A, class B>
auto plain_nt(const A& a, const B& b) {
  return detail::plain_nt<typename A::Scalar>(detail::plain_rows(a), detail::plain_rows(b));
}
/// A^T B
template <class A, class B>
auto plain_tn(const A& a, const B& b) {
  return detail::plain_tn<typename A::Scalar>(detail::plain_rows(a), detail::plain_rows(b));
}

}  // namespace embedpool::head_math
