#pragma once
#include <cmath>

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

/// RMSNorm of one row: out = x / sqrt(mean(x^2) + eps) .* gain. x and out may be the same row.
///
/// Source  arXiv 1910.07467
template <Real S>
void rms_norm_row(std::span<const S> x, const S* gain, S eps, S* out) noexcept {
  constexpr auto n = static_cast<std::size_t>(simd::lanes<S>);
  const S scale = S(1) / std::sqrt(simd::dot(x, x) / static_cast<S>(x.size()) + eps);
  const simd::Vector<S> scales(scale);
  std::size_t i = 0;
  for (; i + n <= x.size(); i += n)
    (simd::Vector<S>::load_unaligned(&x[i]) * scales * simd::Vector<S>::load_unaligned(gain + i)).store_unaligned(out + i);
  for (; i < x.size(); ++i) out[i] = x[i] * scale * gain[i];
}

/// RMSNorm of every row. Shapes: x, out [N, D] (may be the same), gain [D].
template <Real S, Executor E>
void rms_norm(Rows<const S> x, const S* gain, S eps, Rows<S> out, E& executor) {
  for_each_row(x.rows, executor, [&](Index i) { rms_norm_row(x.row(i), gain, eps, out.row_data(i)); });
}

/// LayerNorm of every row: out = (x - mean) / sqrt(variance + eps) .* gain + bias, the variance divided by D.
///
/// Two passes, so that a large common offset costs no accuracy. Shapes: x, out [N, D] (may be the same), gain, bias [D].
/// Source  arXiv 1607.06450
template <Real S, Executor E>
void layer_norm(Rows<const S> x, const S* gain, const S* bias, S eps, Rows<S> out, E& executor) {
  for_each_row(x.rows, executor, [&](Index i) {
    const auto row = x.row(i);
    const S count = static_cast<S>(row.size());
    S mean = 0, variance = 0;
    for (const S value : row) mean += value;
    mean /= count;
    for (const S value : row) variance += (value - mean) * (value - mean);
    const S scale = S(1) / std::sqrt(variance / count + eps);
    S* y = out.row_data(i);
    for (std::size_t j = 0; j < row.size(); ++j) y[j] = (row[j] - mean) * scale * gain[j] + bias[j];
  });
}

}  // namespace embedpool
