#pragma once
#include <cmath>
#include <concepts>
#include <limits>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/kernels/gemm.hpp"
#include "kernels/random_values.hpp"

namespace embedpool::test {

/// Values as a weight matrix [rows, cols] of their own format.
template <Real S>
WeightView view_of(const std::vector<S>& values, Index rows, Index cols) {
  return {reinterpret_cast<const std::byte*>(values.data()), std::same_as<S, float> ? Format::F32 : Format::F64, rows,
          cols};
}

/// Rounding of a chain of K products of size 1 against another order: K epsilon, times 4 for the largest of many.
template <Real S>
double chain_tolerance(Index depth) {
  return 4.0 * static_cast<double>(depth) * std::numeric_limits<S>::epsilon();
}

/// A W^T by gemm_nt, where what it does not write stays NaN.
template <Real S>
std::vector<S> product(const std::vector<S>& a, Index rows, const WeightView& w, auto&& executor) {
  std::vector<S> c(static_cast<std::size_t>(rows * w.rows), std::numeric_limits<S>::quiet_NaN());
  gemm_nt(Rows<const S>(a.data(), rows, w.cols), w, StoreTo<S>{Rows<S>(c.data(), rows, w.rows)}, executor);
  return c;
}

}  // namespace embedpool::test
