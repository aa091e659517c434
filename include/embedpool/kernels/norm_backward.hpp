#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "embedpool/kernels/norm.hpp"

namespace embedpool {

namespace scalar {

/// The way back through scalar::rms_norm_row, the definition: with s = 1 / sqrt(mean(x^2) + eps),
///
///   dx_j += s gain_j dy_j - x_j s^3 / D sum over i of gain_i dy_i x_i
template <Real S>
void rms_norm_backward_row(std::span<const S> x, const S* gain, S eps, const S* dy, S* dx) noexcept {
  const S count = static_cast<S>(x.size());
  const S scale = S(1) / std::sqrt(dot(x, x) / count + eps);
  S sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += gain[i] * dy[i] * x[i];
  const S radial = scale * scale * scale * sum / count;
  for (std::size_t i = 0; i < x.size(); ++i) dx[i] += scale * gain[i] * dy[i] - radial * x[i];
}

}  // namespace scalar

namespace simd {

/// As scalar::rms_norm_backward_row; the order of the sums depends on the width alone.
template <Real S>
void rms_norm_backward_row(std::span<const S> x, const S* gain, S eps, const S* dy, S* dx) noexcept {
  constexpr auto n = static_cast<std::size_t>(lanes<S>);
  const std::size_t whole = x.size() / n * n;
  const S count = static_cast<S>(x.size());
  const S scale = S(1) / std::sqrt(dot(x, x) / count + eps);
  const auto weighted = [&](std::size_t i) {
    return Vector<S>::load_unaligned(gain + i) * Vector<S>::load_unaligned(dy + i);
  };
  Vector<S> sums(S(0));
  for (std::size_t i = 0; i < whole; i += n) sums = fma<S>(weighted(i), Vector<S>::load_unaligned(&x[i]), sums);
  S sum = simd::sum_of_values(sums);
  for (std::size_t i = whole; i < x.size(); ++i) sum += gain[i] * dy[i] * x[i];
  const S radial = scale * scale * scale * sum / count;
  const Vector<S> scales(scale), radials(-radial);
  for (std::size_t i = 0; i < whole; i += n) {
    const Vector<S> before = fma<S>(radials, Vector<S>::load_unaligned(&x[i]), Vector<S>::load_unaligned(dx + i));
    fma<S>(scales, weighted(i), before).store_unaligned(dx + i);
  }
  for (std::size_t i = whole; i < x.size(); ++i) dx[i] += scale * gain[i] * dy[i] - radial * x[i];
}

}  // namespace simd

/// The way back through rms_norm, row by row: dx += the gradient of x, given that of the output.
///
/// Shapes  x, dy, dx [N, D], gain [D]; x as rms_norm saw it
template <Real S, Executor E>
void rms_norm_backward(Rows<const S> x, const S* gain, S eps, Rows<const S> dy, Rows<S> dx, E& executor) {
  for_each_row(x.rows, executor, [&](Index i) {
    simd::rms_norm_backward_row(x.row(i), gain, eps, dy.row_data(i), dx.row_data(i));
  });
}

/// dgain_j += sum over rows of dy_ij x_ij / sqrt(mean(x_i^2) + eps).
///
/// Shapes  x, dy [N, D], dgain [D]
/// Order   rows rise within a column, whoever runs it
template <Real S, Executor E>
void rms_norm_gain_backward(Rows<const S> x, S eps, Rows<const S> dy, S* dgain, E& executor) {
  std::vector<S> scales(static_cast<std::size_t>(x.rows));
  for_each_row(x.rows, executor, [&](Index i) {
    scales[static_cast<std::size_t>(i)] =
        S(1) / std::sqrt(simd::dot<S>(x.row(i), x.row(i)) / static_cast<S>(x.cols) + eps);
  });
  constexpr Index columns = 64;
  executor.parallel_for((x.cols + columns - 1) / columns, [&](Index job, Index) {
    const Index first = job * columns, end = std::min(first + columns, x.cols);
    for (Index i = 0; i < x.rows; ++i)
      for (Index j = first; j < end; ++j) dgain[j] += dy(i, j) * x(i, j) * scales[static_cast<std::size_t>(i)];
  });
}

}  // namespace embedpool
