#pragma once
#include <cassert>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/epilogue.hpp"
#include "embedpool/kernels/panels.hpp"

namespace embedpool {

namespace scalar {

/// The definition: C[i][n] = sum over k of A[i][k] W[n][k].
template <Real S>
void gemm_nt(Rows<const S> a, const WeightView& w, Rows<S> c) {
  std::vector<S> row(static_cast<std::size_t>(w.cols));
  for (Index n = 0; n < w.rows; ++n) {
    decode_row(w, n, row.data());
    for (Index i = 0; i < a.rows; ++i) {
      S sum = 0;
      for (Index k = 0; k < w.cols; ++k) sum += a(i, k) * row[static_cast<std::size_t>(k)];
      c(i, n) = sum;
    }
  }
}

}  // namespace scalar

namespace simd {

/// Scratch of one worker, kept between calls: one panel, and C so far when K is split.
template <Real S>
struct GemmScratch {
  AlignedBuffer<S> panel;
  AlignedBuffer<S> partial;
};

/// Longest run of k that is packed at once: a panel of it stays in the second cache beside the rows of A.
template <Real S>
inline constexpr Index depth_block = 2048;

/// C = epilogue(A panels): each job packs one panel, straight from the storage format, and multiplies some rows with it.
///
/// Panels are the jobs; the last few are split by rows so that all workers end together. Neither the split nor the block
/// of k changes a result: sums are kept exactly between blocks, and each element has one chain in rising k.
template <Real S, class Panels, class Epilogue, Executor E>
void gemm_panels(Rows<const S> a, const Panels& panels, Index columns, const Epilogue& epilogue, E& executor) {
  constexpr Index width = Tile<S>::width;
  const Index count = panels.count(), depth = panels.depth(), workers = executor.workers();
  const Index block = std::min(depth, depth_block<S>);

  const Index split = std::min(count, workers > 1 ? count % workers + workers : 0);  // panels that are split by rows
  const Index pieces = std::clamp<Index>(a.rows / 24, 1, 2 * workers);               // 24 rows repay packing a panel
  const Index piece_rows = (a.rows + pieces - 1) / pieces;
  const Index whole = count - split;

  executor.parallel_for(whole + split * pieces, [&](Index job, Index) {
    thread_local GemmScratch<S> scratch;
    const Index panel = job < whole ? job : whole + (job - whole) / pieces;
    const Index first = job < whole ? 0 : (job - whole) % pieces * piece_rows;
    const Index rows = job < whole ? a.rows : std::min(piece_rows, a.rows - first);
    if (rows <= 0) return;
    const Index column = panel * epilogue.panel_columns();
    const Index valid = std::min(epilogue.panel_columns(), columns - column);
    S* packed = scratch.panel.reserve(block * width);
    S* partial = depth > block ? scratch.partial.reserve(rows * width) : nullptr;
    for (Index k = 0; k < depth; k += block) {
      const Index now = std::min(block, depth - k);
      panels.pack(panel, k, now, packed);
      const Rows<const S> part = a.middle_rows(first, rows).middle_cols(k, now);
      const S* so_far = k > 0 ? partial : nullptr;
      if (k + now < depth)
        multiply_panel(part, packed, so_far, [&](Index row, const auto& sums) {
          for (int v = 0; v < Tile<S>::vectors; ++v) sums[v].store_aligned(partial + row * width + v * lanes<S>);
        });
      else
        multiply_panel(part, packed, so_far, [&](Index row, const auto& sums) {
          epilogue.store(first + row, column, sums, valid);
        });
    }
  });
}

}  // namespace simd

/// C = epilogue(A W^T): one linear layer, the weights used in their storage format.
///
/// Shapes  a [M, K], w [N, K]; the epilogue (StoreTo, StoreBias, AddTo) holds C [M, N], which must not overlap a
/// Order   each element is one chain of multiply-adds in rising k: bit-identical for any M, position and executor
template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.cols);
  simd::gemm_panels(a, simd::MatrixPanels<S>{w}, w.rows, epilogue, executor);
}

/// out = act(A Wg^T) .* (A Wu^T): the first two maps of a gated feed-forward in one pass.
///
/// Shapes  a [M, K], gate and up [N, K], out [M, N]
template <class Activation, Real S, Executor E>
void gemm_nt_gated(Rows<const S> a, const WeightView& gate, const WeightView& up, Rows<S> out, E& executor) {
  assert(a.cols == gate.cols && a.cols == up.cols && gate.rows == up.rows);
  simd::gemm_panels(a, simd::GatedPanels<S>{gate, up}, gate.rows, StoreGated<Activation, S>{out}, executor);
}

}  // namespace embedpool
