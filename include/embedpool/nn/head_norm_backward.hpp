#pragma once
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/kernels/norm_backward.hpp"

namespace embedpool {

/// The gain of an RMSNorm in training.
template <Real S>
struct TrainedGain {
  const std::vector<S>* gain = nullptr;  ///< empty: the model has no such norm
  Matrix<S>* gradient = nullptr;         ///< [1, D] or null
};

/// The way back through head_norm: dx of x as head_norm saw it, given dy, and the gradient of the gain, which is added
/// to. Heads are rows of their own.
///
/// Shapes  x, dy, dx [N, heads d], without gaps between rows
template <Real S, Executor E>
void head_norm_backward(Rows<const S> x, Index heads, const TrainedGain<S>& gain, S epsilon, Rows<const S> dy, Rows<S> dx,
                        E& executor) {
  const auto each_head = [heads](auto rows) {
    return decltype(rows)(rows.data, rows.rows * heads, rows.cols / heads);
  };
  std::fill_n(dx.data, dx.rows * dx.cols, S(0));
  rms_norm_backward(each_head(x), gain.gain->data(), epsilon, each_head(dy), each_head(dx), executor);
  if (gain.gradient != nullptr)
    rms_norm_gain_backward(each_head(x), epsilon, each_head(dy), gain.gradient->data(), executor);
}

}  // namespace embedpool
