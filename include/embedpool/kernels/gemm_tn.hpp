#pragma once
#include <algorithm>
#include <cassert>

#include "embedpool/kernels/gemm.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool {

namespace scalar {

/// The definition: C[i][j] += sum over t of A[t][i] B[t][j].
template <Real S>
void gemm_tn(Rows<const S> a, Rows<const S> b, Rows<S> c) noexcept {
  for (Index i = 0; i < a.cols; ++i)
    for (Index j = 0; j < b.cols; ++j) {
      S sum = 0;
      for (Index t = 0; t < a.rows; ++t) sum += a(t, i) * b(t, j);
      c(i, j) += sum;
    }
}

}  // namespace scalar

namespace simd {

/// The panels of P = B for rows of reals with any stride: panel p holds columns [p * width, (p + 1) * width).
template <Real S>
struct RowPanels {
  Rows<const S> b;
  static constexpr Index width = Tile<S>::width;

  Index count() const noexcept { return (b.cols + width - 1) / width; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return b.rows; }
  PanelView<S> fetch(Index panel, Index k, Index depth, S* buffer) const noexcept {
    const Index first = panel * width, valid = std::min(width, b.cols - first);
    for (Index n = 0; n < depth; ++n) {
      S* row = buffer + n * width;
      std::fill(std::copy_n(b.row_data(k + n) + first, valid, row), row + width, S(0));
    }
    return {buffer, 0};
  }
};

/// out = in^T for any number of rows and columns, in jobs of columns.
///
/// Shapes  in [n, m], out [m, n]
template <Real S, Executor E>
void transpose_rows(Rows<const S> in, Rows<S> out, E& executor) {
  constexpr Index columns = 64;
  const Index whole = in.rows / lanes<S> * lanes<S>;
  executor.parallel_for((in.cols + columns - 1) / columns, [&](Index job, Index) {
    const Index first = job * columns, count = std::min(columns, in.cols - first);
    transpose(in.middle_rows(0, whole).middle_cols(first, count), out.row_data(first), out.stride);
    for (Index j = first; j < first + count; ++j)
      for (Index i = whole; i < in.rows; ++i) out(j, i) = in(i, j);
  });
}

}  // namespace simd

/// C += A^T B, a sum over the rows that A and B share: the gradient of a weight, dW += dY^T X over packed tokens.
///
/// Shapes  a [T, M], b [T, N], c [M, N]; c must not overlap a or b
/// Order   each element is one chain of multiply-adds in rising t, then added to C: bit-identical for any executor
/// Cost    a copy of A, transposed; let A be the narrower of the two
template <Real S, Executor E>
void gemm_tn(Rows<const S> a, Rows<const S> b, Rows<S> c, E& executor) {
  assert(a.rows == b.rows && a.cols == c.rows && b.cols == c.cols);
  thread_local AlignedBuffer<S> scratch;
  const Rows<S> transposed = scratch.rows(a.cols, a.rows);
  simd::transpose_rows(a, transposed, executor);
  simd::gemm_panels(Rows<const S>(transposed), simd::RowPanels<S>{b}, b.cols, AddTo<S>{c}, executor);
}

}  // namespace embedpool
