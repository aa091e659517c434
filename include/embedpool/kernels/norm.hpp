#pragma once
#include <algorithm>
#include <cmath>
#include <span>

#include "embedpool/core/executor.hpp"
#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/dot.hpp"

namespace embedpool {

/// Rows a job of a row-by-row kernel takes: enough to outweigh handing it out.
inline constexpr Index rows_per_job = 16;

/// Calls row(i) for every i in [0, rows), in jobs of rows_per_job.
template <Executor E, class Row>
void for_each_row(Index rows, E& executor, const Row& row) {
  executor.parallel_for((rows + rows_per_job - 1) / rows_per_job, [&](Index job, Index) {
    const Index end = std::min(rows, (job + 1) * rows_per_job);
    for (Index i = job * rows_per_job; i < end; ++i) row(i);
  });
}

namespace scalar {

/// RMSNorm of one row, the definition: out = x / sqrt(mean(x^2) + eps) .* gain. x and out may be the same row.
template <Real S>
void rms_norm_row(std::span<const S> x, const S* gain, S eps, S* out) noexcept {
  const S scale = S(1) / std::sqrt(dot(x, x) / static_cast<S>(x.size()) + eps);
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * gain[i];
}

/// LayerNorm of one row, the definition: out = (x - mean) / sqrt(variance + eps) .* gain + bias, the variance divided
/// by D and summed in a pass of its own, so that a large common offset costs no accuracy. x and out may be the same
/// row.
template <Real S>
void layer_norm_row(std::span<const S> x, const S* gain, const S* bias, S eps, S* out) noexcept {
  const S count = static_cast<S>(x.size());
  S mean = 0, variance = 0;
  for (const S value : x) mean += value;
  mean /= count;
  for (const S value : x) variance += (value - mean) * (value - mean);
  const S scale = S(1) / std::sqrt(variance / count + eps);
  for (std::size_t j = 0; j < x.size(); ++j) out[j] = (x[j] - mean) * scale * gain[j] + bias[j];
}

}  // namespace scalar

namespace simd {

/// As scalar::rms_norm_row; the order of the sum depends on the width alone.
template <Real S>
void rms_norm_row(std::span<const S> x, const S* gain, S eps, S* out) noexcept {
  constexpr auto n = static_cast<std::size_t>(lanes<S>);
  const S scale = S(1) / std::sqrt(dot(x, x) / static_cast<S>(x.size()) + eps);
  const Vector<S> scales(scale);
  std::size_t i = 0;
  for (; i + n <= x.size(); i += n)
    (Vector<S>::load_unaligned(&x[i]) * scales * Vector<S>::load_unaligned(gain + i)).store_unaligned(out + i);
  for (; i < x.size(); ++i) out[i] = x[i] * scale * gain[i];
}

/// As scalar::layer_norm_row; the order of the sums depends on the width alone.
template <Real S>
void layer_norm_row(std::span<const S> x, const S* gain, const S* bias, S eps, S* out) noexcept {
  constexpr auto n = static_cast<std::size_t>(lanes<S>);
  const std::size_t whole = x.size() / n * n;
  const S count = static_cast<S>(x.size());
  Vector<S> sums(S(0));
  S mean = 0, variance = 0;
  for (std::size_t i = 0; i < whole; i += n) sums += Vector<S>::load_unaligned(&x[i]);
  for (std::size_t i = whole; i < x.size(); ++i) mean += x[i];
  mean = (mean + simd::sum_of_values(sums)) / count;

  const Vector<S> means(mean);
  Vector<S> squares(S(0));
  for (std::size_t i = 0; i < whole; i += n) {
    const Vector<S> centred = Vector<S>::load_unaligned(&x[i]) - means;
    squares = fma<S>(centred, centred, squares);
  }
  for (std::size_t i = whole; i < x.size(); ++i) variance += (x[i] - mean) * (x[i] - mean);
  const S scale = S(1) / std::sqrt((variance + simd::sum_of_values(squares)) / count + eps);

  const Vector<S> scales(scale);
  for (std::size_t i = 0; i < whole; i += n) {
    const Vector<S> normed = (Vector<S>::load_unaligned(&x[i]) - means) * scales;
    fma<S>(normed, Vector<S>::load_unaligned(gain + i), Vector<S>::load_unaligned(bias + i)).store_unaligned(out + i);
  }
  for (std::size_t i = whole; i < x.size(); ++i) out[i] = (x[i] - mean) * scale * gain[i] + bias[i];
}

}  // namespace simd

using simd::rms_norm_row;

/// RMSNorm of every row: out = x / sqrt(mean(x^2) + eps) .* gain.
///
/// Shapes  x, out [N, D] (may be the same), gain [D]
/// Source  arXiv 1910.07467
template <Real S, Executor E>
void rms_norm(Rows<const S> x, const S* gain, S eps, Rows<S> out, E& executor) {
  for_each_row(x.rows, executor, [&](Index i) { simd::rms_norm_row(x.row(i), gain, eps, out.row_data(i)); });
}

/// LayerNorm of every row: out = (x - mean) / sqrt(variance + eps) .* gain + bias, the variance divided by D.
///
/// Shapes  x, out [N, D] (may be the same), gain, bias [D]
/// Source  arXiv 1607.06450
template <Real S, Executor E>
void layer_norm(Rows<const S> x, const S* gain, const S* bias, S eps, Rows<S> out, E& executor) {
  for_each_row(x.rows, executor, [&](Index i) { simd::layer_norm_row(x.row(i), gain, bias, eps, out.row_data(i)); });
}

}  // namespace embedpool
