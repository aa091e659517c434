#pragma once
#include <vector>

#include "embedpool/nn/compute.hpp"

namespace embedpool {

/// y = x W^T + b, without b when the vector is empty.
///
/// Shapes  x [N, in], as compute.prepare() gives it; W [out, in] in any storage format, b [out] or empty, y [N, out]
template <class Compute, class Input, Real S, Executor E>
void linear_forward(const Compute& compute, const Input& x, const WeightView& w, const std::vector<S>& bias, Rows<S> y,
                    E& executor) {
  if (bias.empty())
    compute.product(x, w, StoreTo<S>{y}, executor);
  else
    compute.product(x, w, StoreBias<S>{y, bias.data()}, executor);
}

/// y += x W^T + b: the last map of a residual branch.
///
/// Shapes  as linear_forward; y is the residual stream
template <class Compute, class Input, Real S, Executor E>
void linear_add(const Compute& compute, const Input& x, const WeightView& w, const std::vector<S>& bias, Rows<S> y,
                E& executor) {
  compute.product(x, w, AddTo<S>{y}, executor);
  if (bias.empty()) return;
  executor.parallel_for(y.rows, [&](Index i, Index) {
    S* out = y.row_data(i);
    for (Index j = 0; j < y.cols; ++j) out[j] += bias[static_cast<std::size_t>(j)];
  });
}

}  // namespace embedpool
