#pragma once
#include <vector>

#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

/// y = x W^T + b, without b when the vector is empty.
///
/// Shapes  x [N, in], W [out, in] in any storage format, b [out] or empty, y [N, out]
template <Real S, Executor E>
void linear_forward(Rows<const S> x, const WeightView& w, const std::vector<S>& bias, Rows<S> y, E& executor) {
  if (bias.empty())
    gemm_nt(x, w, StoreTo<S>{y}, executor);
  else
    gemm_nt(x, w, StoreBias<S>{y, bias.data()}, executor);
}

/// y += x W^T + b: the last map of a residual branch.
///
/// Shapes  as linear_forward; y is the residual stream
template <Real S, Executor E>
void linear_add(Rows<const S> x, const WeightView& w, const std::vector<S>& bias, Rows<S> y, E& executor) {
  gemm_nt(x, w, AddTo<S>{y}, executor);
  if (bias.empty()) return;
  executor.parallel_for(y.rows, [&](Index i, Index) {
    S* out = y.row_data(i);
    for (Index j = 0; j < y.cols; ++j) out[j] += bias[static_cast<std::size_t>(j)];
  });
}

}  // namespace embedpool
