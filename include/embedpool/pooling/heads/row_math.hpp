#pragma once
#include "embedpool/kernels/axpy.hpp"
#include "embedpool/kernels/norm.hpp"
#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/head_products.hpp"

/// Row-by-row pieces of heads that work on the rows of a whole batch. The order of every sum depends on the width alone
/// or, over rows, is the order of the rows.
namespace embedpool::head_math {

/// f(registers, j) for whole registers of columns, and f(values, j) for the columns left, with the same arithmetic.
template <Real S, class F>
void for_each_column(Index columns, const F& f) {
  Index j = 0;
  for (; j + simd::lanes<S> <= columns; j += simd::lanes<S>) f(simd::Vector<S>(S(0)), j);
  for (; j < columns; ++j) f(S(0), j);
}
template <Real S>
void store_to(S* to, const simd::Vector<S>& value) noexcept {
  value.store_unaligned(to);
}
template <Real S>
void store_to(S* to, S value) noexcept {
  *to = value;
}

/// Sum of a row.
template <Real S>
S row_sum(std::span<const S> x) noexcept {
  constexpr auto n = static_cast<std::size_t>(simd::lanes<S>);
  const std::size_t whole = x.size() / n * n;
  simd::Vector<S> sums(S(0));
  for (std::size_t i = 0; i < whole; i += n) sums += simd::Vector<S>::load_unaligned(&x[i]);
  S sum = simd::sum_of_values(sums);
  for (std::size_t i = whole; i < x.size(); ++i) sum += x[i];
  return sum;
}

/// x_hat = (x - mean) scale of one row; returns scale = 1 / sqrt(var + eps). x and x_hat may be the same row.
template <Real S>
S standardise_row(std::span<const S> x, S* x_hat) noexcept {
  const S mean = row_sum(x) / static_cast<S>(x.size());
  for_each_column<S>(static_cast<Index>(x.size()),
                     [&](auto kind, Index j) { store_to<S>(x_hat + j, simd::load_as(kind, x.data() + j) - mean); });
  const std::span<const S> centred(x_hat, x.size());
  const S variance = simd::dot(centred, centred) / static_cast<S>(x.size());
  const S scale = S(1) / std::sqrt(variance + static_cast<S>(layer_norm_epsilon));
  for_each_column<S>(static_cast<Index>(x.size()),
                     [&](auto kind, Index j) { store_to<S>(x_hat + j, simd::load_as(kind, x_hat + j) * scale); });
  return scale;
}

/// dx of one row from that of x_hat: scale (dx_hat - mean(dx_hat) - x_hat mean(dx_hat .* x_hat)), in place.
template <Real S>
void standardise_row_backward(std::span<const S> x_hat, S scale, std::span<S> dx) noexcept {
  const S mean = row_sum(std::span<const S>(dx)) / static_cast<S>(dx.size());
  const S along = simd::dot(std::span<const S>(dx), x_hat) / static_cast<S>(dx.size());
  for_each_column<S>(static_cast<Index>(dx.size()), [&](auto kind, Index j) {
    const auto hat = simd::load_as(kind, x_hat.data() + j);
    store_to<S>(dx.data() + j, scale * (simd::load_as(kind, dx.data() + j) - mean - along * hat));
  });
}

/// y = x_hat .* gain + bias of one row.
template <Real S>
void scale_and_shift(std::span<const S> x_hat, const Matrix<S>& gain, const Matrix<S>& bias, S* y) noexcept {
  for_each_column<S>(static_cast<Index>(x_hat.size()), [&](auto kind, Index j) {
    store_to<S>(y + j, simd::load_as(kind, x_hat.data() + j) * simd::load_as(kind, gain.data() + j) +
                           simd::load_as(kind, bias.data() + j));
  });
}

/// Columns that are summed at a time, so that rows are read line by line and the sums stay in the first cache.
inline constexpr Index summed_columns = 64;

/// out = factor (sum of the rows of x), column by column in the order of the rows.
template <Real S>
void sum_rows(Rows<const S> x, S factor, S* out) noexcept {
  for (Index first = 0; first < x.cols; first += summed_columns) {
    const Index columns = std::min(summed_columns, x.cols - first);
    alignas(64) S sums[summed_columns] = {};
    for (Index i = 0; i < x.rows; ++i) simd::axpy(S(1), x.middle_cols(first, columns).row(i), sums);
    for (Index j = 0; j < columns; ++j) out[first + j] = sums[j] * factor;
  }
}

/// dbias += sum over rows of dy and, with dgain, dgain += sum over rows of dy .* x_hat. Blocks of columns are the jobs.
template <Real S>
void add_column_sums(Rows<const S> dy, Rows<const S> x_hat, Matrix<S>* dgain, Matrix<S>& dbias, ExecutorRef executor) {
  executor.parallel_for((dy.cols + summed_columns - 1) / summed_columns, [&](Index job, Index) {
    const Index first = job * summed_columns, columns = std::min(summed_columns, dy.cols - first);
    alignas(64) S sums[summed_columns] = {}, along[summed_columns] = {};
    for (Index i = 0; i < dy.rows; ++i) {
      const S* d = dy.row_data(i) + first;
      simd::axpy(S(1), std::span<const S>(d, static_cast<std::size_t>(columns)), sums);
      if (dgain == nullptr) continue;
      const S* hat = x_hat.row_data(i) + first;
      for_each_column<S>(columns, [&](auto kind, Index j) {
        store_to<S>(along + j,
                    simd::load_as(kind, along + j) + simd::load_as(kind, d + j) * simd::load_as(kind, hat + j));
      });
    }
    for (Index j = 0; j < columns; ++j) {
      dbias.data()[first + j] += sums[j];
      if (dgain) dgain->data()[first + j] += along[j];
    }
  });
}

/// LayerNorm of many rows, with what its backward needs.
template <Real S>
struct RowNorms {
  ScratchMatrix<S> x_hat;  // [n, D]
  ScratchMatrix<S> scale;  // [1, n]

  void standardise(Rows<const S> x, ExecutorRef executor) {
    const Rows<S> hat = x_hat.resize(x.rows, x.cols), scales = scale.resize(1, x.rows);
    for_each_row(x.rows, executor, [&](Index i) { scales(0, i) = standardise_row(x.row(i), hat.row_data(i)); });
  }
  void apply(const Matrix<S>& gain, const Matrix<S>& bias, Rows<S> y, ExecutorRef executor) const {
    const Rows<const S> hat = x_hat.rows();
    for_each_row(y.rows, executor, [&](Index i) { scale_and_shift(hat.row(i), gain, bias, y.row_data(i)); });
  }
  /// dx_hat of the rows becomes dx, in place.
  void backward(Rows<S> dx, ExecutorRef executor) const {
    const Rows<const S> hat = x_hat.rows(), scales = scale.rows();
    for_each_row(dx.rows, executor, [&](Index i) { standardise_row_backward(hat.row(i), scales(0, i), dx.row(i)); });
  }
};

/// dy .* gain, in place.
template <Real S>
void scale_columns(Rows<S> dy, const Matrix<S>& gain, ExecutorRef executor) {
  for_each_row(dy.rows, executor, [&](Index i) {
    for_each_column<S>(dy.cols, [&](auto kind, Index j) {
      store_to<S>(dy.row_data(i) + j, simd::load_as(kind, dy.row_data(i) + j) * simd::load_as(kind, gain.data() + j));
    });
  });
}

}  // namespace embedpool::head_math
