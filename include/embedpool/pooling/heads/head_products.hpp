#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/core/thread_scratch.hpp"
#include "embedpool/kernels/gemm.hpp"

/// Products of plain matrices for heads, on strided views: a head's columns of a weight need no copy. Each element is
/// one chain of multiply-adds in rising k, as in gemm_nt, so that no result depends on the number of rows or threads.
namespace embedpool::head_math {

/// out[j * stride + i] = in[i][j], for any shape.
template <Real S>
void transpose_any(Rows<const S> in, S* out, Index stride) noexcept {
  const Index whole = in.rows / simd::lanes<S> * simd::lanes<S>;
  simd::transpose(in.middle_rows(0, whole), out, stride);
  for (Index i = whole; i < in.rows; ++i)
    for (Index j = 0; j < in.cols; ++j) out[j * stride + i] = in(i, j);
}

/// The panels of C = A W^T for a strided W: a panel holds rows of W.
template <Real S>
struct StridedRowPanels {
  Rows<const S> w;
  static constexpr Index width = simd::Tile<S>::width;

  Index count() const noexcept { return (w.rows + width - 1) / width; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return w.cols; }
  simd::PanelView<S> fetch(Index panel, Index k, Index depth, S* buffer) const noexcept {
    const Index first = panel * width, valid = std::min(width, w.rows - first);
    transpose_any(w.middle_rows(first, valid).middle_cols(k, depth), buffer, width);
    if (valid < width)
      for (Index j = 0; j < depth; ++j) std::fill(buffer + j * width + valid, buffer + (j + 1) * width, S(0));
    return {buffer, 0};
  }
};

/// The panels of C = A W for a strided W: a panel holds columns of W.
template <Real S>
struct StridedColumnPanels {
  Rows<const S> w;
  static constexpr Index width = simd::Tile<S>::width;
  static constexpr Index rows_ahead = 12;  ///< how far memory is asked for in advance

  Index count() const noexcept { return (w.cols + width - 1) / width; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return w.rows; }
  simd::PanelView<S> fetch(Index panel, Index k, Index depth, S* buffer) const noexcept {
    const Index first = panel * width, valid = std::min(width, w.cols - first);
    for (Index n = 0; n < depth; ++n) {
      const S* row = w.row_data(k + n) + first;
      if (k + n + rows_ahead < w.rows)
        for (Index j = 0; j < valid; j += 64 / static_cast<Index>(sizeof(S)))
          __builtin_prefetch(row + rows_ahead * w.stride + j);
      S* out = buffer + n * width;
      if (valid == width) {
        std::copy_n(row, width, out);
      } else {
        std::copy_n(row, valid, out);
        std::fill(out + valid, out + width, S(0));
      }
    }
    return {buffer, 0};
  }
};

/// C = epilogue(A W^T). Shapes: a [M, K], w [N, K], both strided
template <Real S, class Epilogue>
void product_nt(Rows<const S> a, Rows<const S> w, const Epilogue& epilogue, ExecutorRef executor) {
  assert(a.cols == w.cols);
  if (a.rows > 0) simd::gemm_panels(a, StridedRowPanels<S>{w}, w.rows, epilogue, executor);
}

/// C = epilogue(A W). Shapes: a [M, K], w [K, N], both strided
template <Real S, class Epilogue>
void product_nn(Rows<const S> a, Rows<const S> w, const Epilogue& epilogue, ExecutorRef executor) {
  assert(a.cols == w.rows);
  if (a.rows > 0) simd::gemm_panels(a, StridedColumnPanels<S>{w}, w.cols, epilogue, executor);
}

/// C += A^T B: what a batch gives to a weight's gradient. A is transposed in slices whose copy stays small.
///
/// Shapes  a [K, M], b [K, N], c [M, N]
template <Real S>
void add_product_tn(Rows<const S> a, Rows<const S> b, Rows<S> c, ExecutorRef executor) {
  assert(a.rows == b.rows);
  if (a.rows == 0) return;
  const ThreadScratch<AlignedBuffer<S>> scratch;
  const Index slice = std::clamp<Index>((Index(1) << 21) / a.rows / 64 * 64, 64, 4096);
  for (Index first = 0; first < a.cols; first += slice) {
    const Index now = std::min(slice, a.cols - first);
    S* copy = scratch->reserve(now * a.rows);
    executor.parallel_for((now + 63) / 64, [&](Index job, Index) {
      const Index begin = 64 * job, columns = std::min<Index>(64, now - begin);
      transpose_any(a.middle_cols(first + begin, columns), copy + begin * a.rows, a.rows);
    });
    product_nn(Rows<const S>(copy, now, a.rows), b, AddTo<S>{c.middle_rows(first, now)}, executor);
  }
}

/// The rows of one head among rows (_, h), h fastest.
template <class T>
Rows<T> rows_of_head(Rows<T> rows, Index head, Index heads) noexcept {
  return {rows.data + head * rows.stride, rows.rows / heads, rows.cols, heads * rows.stride};
}

/// Runs job(i, executor) for texts, or heads, that each take several products: at once where there are enough of them,
/// else one after the other with all workers inside.
template <class Job>
void for_each_part(Index parts, ExecutorRef executor, const Job& job) {
  if (parts >= executor.workers() && executor.workers() > 1) {
    executor.parallel_for(parts, [&](Index i, Index) {
      SerialExecutor serial;
      job(i, ExecutorRef(serial));
    });
  } else {
    for (Index i = 0; i < parts; ++i) job(i, executor);
  }
}

/// An owner of one matrix that grows and is used again; its contents are undefined after resize.
template <Real S>
class ScratchMatrix {
 public:
  Rows<S> resize(Index rows, Index cols) { return view_ = memory_.rows(rows, cols); }
  Rows<S> rows() noexcept { return view_; }
  Rows<const S> rows() const noexcept { return view_; }

 private:
  AlignedBuffer<S> memory_;
  Rows<S> view_;
};

}  // namespace embedpool::head_math
