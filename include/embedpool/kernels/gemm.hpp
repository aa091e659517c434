#pragma once
#include <algorithm>
#include <cassert>
#include <span>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/core/text_shape.hpp"
#include "embedpool/kernels/epilogue.hpp"
#include "embedpool/kernels/packed_gated_weight.hpp"
#include "embedpool/kernels/packed_weight.hpp"

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

/// The definition: out[i][n] = act(sum over k of A[i][k] gate[n][k]) (sum over k of A[i][k] up[n][k]).
template <class Activation, Real S>
void gemm_nt_gated(Rows<const S> a, const WeightView& gate, const WeightView& up, Rows<S> out) {
  std::vector<S> of_up(static_cast<std::size_t>(a.rows * up.rows));
  const Rows<S> factor(of_up.data(), a.rows, up.rows);
  gemm_nt(a, up, factor);
  gemm_nt(a, gate, out);
  for (Index i = 0; i < a.rows; ++i)
    for (Index n = 0; n < gate.rows; ++n) out(i, n) = Activation::value(out(i, n)) * factor(i, n);
}

/// The definition: C[i][k] = sum over n of A[i][n] W[n][k].
template <Real S>
void gemm_nn(Rows<const S> a, const WeightView& w, Rows<S> c) {
  std::vector<S> row(static_cast<std::size_t>(w.cols));
  for (Index i = 0; i < a.rows; ++i) std::fill_n(c.row_data(i), w.cols, S(0));
  for (Index n = 0; n < w.rows; ++n) {
    decode_row(w, n, row.data());
    for (Index i = 0; i < a.rows; ++i)
      for (Index k = 0; k < w.cols; ++k) c(i, k) += a(i, n) * row[static_cast<std::size_t>(k)];
  }
}

}  // namespace scalar

namespace simd {

/// Scratch of one worker, kept between calls: one group of panels, and C so far when the sums are split.
template <Operand T>
struct GemmScratch {
  AlignedBuffer<T> panels, further;
  AlignedBuffer<SumOf<T>> partial;
};

/// A product that is added in the same registers, C = epilogue(A P + A' P'), for short sums: the second half of a LoRA
/// pair costs its multiplications then, and no way through the memory of C.
template <Operand T, class Panels>
struct FurtherProduct {
  Rows<const T> a;
  Panels panels;
};

/// How a product is cut. Nothing of it changes a result: sums are kept exactly between blocks of k, and each element
/// has one chain in rising k.
///
///   group    panels that a job makes and multiplies with: what the source makes at once, and 64 columns where A is
///            long, so that rows of A that were fetched serve all of them
///   block    longest run of k that is made at once: the panels of it stay in the second cache beside the rows of A; a
///            multiple of every format's block
///   split    groups at the end that are split by rows into `pieces` jobs each, so that all workers end together
struct GemmPlan {
  static constexpr Index row_chunk = 48;  ///< rows of A that go through all panels of a job before the next ones
  static constexpr Index most_panels = 64;

  Index group, groups, block, split, pieces, piece_rows;

  template <Operand T, class Panels>
  static GemmPlan make(Index rows, const Panels& panels, Index workers) noexcept {
    constexpr Index width = Tile<T>::width, cache = (Index(1) << 19) / static_cast<Index>(sizeof(T));
    GemmPlan plan{};
    plan.group = panels.group();
    const Index wide = 64 / (width * plan.group);
    if (rows > row_chunk && wide > 1 && panels.count() >= 4 * workers * wide && panels.depth() * 64 <= cache)
      plan.group *= wide;
    plan.groups = (panels.count() + plan.group - 1) / plan.group;
    plan.block = std::min(panels.depth(), std::min<Index>(2048, cache / (plan.group * width)));
    // Making a panel costs about as much as multiplying 10 rows with it. Of long A the last groups are split fine, of
    // short A only those that would leave workers without any.
    const Index left_over = workers > 1 ? plan.groups % workers : 0;
    const bool is_long = rows >= 48;
    plan.split = workers > 1 && is_long ? std::min(plan.groups, left_over + workers) : left_over;
    plan.pieces =
        is_long ? std::min(rows / 24, 2 * workers) : std::min(rows / 12, workers / std::max<Index>(1, left_over));
    plan.pieces = std::max<Index>(1, plan.pieces);
    plan.piece_rows = (rows + plan.pieces - 1) / plan.pieces;
    return plan;
  }
};

/// The panels of further products for one group of columns, and the products themselves.
template <Operand T, class Panels>
class FurtherPanels {
 public:
  using S = SumOf<T>;

  FurtherPanels(std::span<const FurtherProduct<T, Panels>> products, Interval panel_range, AlignedBuffer<T>& memory)
      : products_(products), count_(panel_range.size()) {
    Index rows = 0;
    for (const auto& product : products) rows += product.panels.depth();
    // A source may make more panels at once than are left.
    T* buffer = products.empty() ? nullptr : memory.reserve(rows * Tile<T>::width * (count_ + GemmPlan::most_panels));
    made_.reserve(products.size() * static_cast<std::size_t>(count_));
    for (const auto& [a, source] : products)
      for (Index p = 0; p < count_; p += source.group()) {
        const PanelView<T> view = source.fetch(panel_range.begin + p, 0, source.depth(), buffer);
        buffer += source.group() * source.depth() * Tile<T>::width;
        for (Index i = 0; i < std::min(source.group(), count_ - p); ++i) made_.push_back(view.data + i * view.pitch);
      }
  }

  /// tile += the products, for rows [first, first + count) and panel p of the group.
  void add(Index p, Index first, Index count, int registers, S* tile) const noexcept {
    std::size_t panel = static_cast<std::size_t>(p);
    for (const auto& product : products_) {
      TileOf<T>::get(count, registers)(product.a.row_data(first), product.a.stride, made_[panel], product.a.cols, tile, tile);
      panel += static_cast<std::size_t>(count_);
    }
  }

 private:
  std::span<const FurtherProduct<T, Panels>> products_;
  Index count_;
  std::vector<const T*> made_;  ///< count_ panels a product
};

/// Rows [first, first + rows) of C = epilogue(A panels + further products) for the panels [begin, end): makes the panels,
/// straight from the storage format where they are not packed, and multiplies the rows with them.
template <Operand T, class Panels, class Epilogue>
void gemm_job(Rows<const T> a, const Panels& panels, Index columns, const Epilogue& epilogue,
              std::span<const FurtherProduct<T, Panels>> further, const GemmPlan& plan, Interval panel_range, Index first,
              Index rows) {
  using S = SumOf<T>;
  constexpr Index width = Tile<T>::width;
  constexpr int vectors = Tile<S>::vectors;
  thread_local GemmScratch<T> scratch;
  const Index depth = panels.depth(), begin = panel_range.begin, count = panel_range.size();
  T* buffer = scratch.panels.reserve(plan.block * width * plan.group);
  S* partials = depth > plan.block ? scratch.partial.reserve(rows * width * plan.group) : nullptr;
  const T* made[GemmPlan::most_panels];
  const FurtherPanels<T, Panels> further_panels(further, panel_range, scratch.further);
  for (Index k = 0; k < depth; k += plan.block) {
    const Index now = std::min(plan.block, depth - k);
    for (Index p = 0; p < count; p += panels.group()) {
      const PanelView<T> view = panels.fetch(begin + p, k, now, buffer + p * now * width);
      for (Index i = 0; i < panels.group(); ++i) made[p + i] = view.data + i * view.pitch;
    }
    for (Index i = 0, chunk; i < rows; i += chunk) {
      const Index left = rows - i;
      chunk = left <= GemmPlan::row_chunk + 2 ? left : GemmPlan::row_chunk;  // leaves no one or two rows
      const Rows<const T> part = a.middle_rows(first + i, chunk).middle_cols(k, now);
      for (Index p = 0; p < count; ++p) {
        S* partial = partials ? partials + (p * rows + i) * width : nullptr;
        const S* so_far = k > 0 ? partial : nullptr;
        const Index column = (begin + p) * epilogue.panel_columns();
        const Index valid = std::min(epilogue.panel_columns(), columns - column);
        const int registers = epilogue.panel_columns() == width ? static_cast<int>((valid + lanes<S> - 1) / lanes<S>) : vectors;
        if (k + now < depth) {
          multiply_panel<vectors>(part, made[p], so_far, registers, nothing, nothing,
                                  [&](Index row, const auto& sums) {
                                    for (int v = 0; v < vectors; ++v)
                                      sums[v].store_aligned(partial + row * width + v * lanes<S>);
                                  });
        } else {
          multiply_panel<vectors>(part, made[p], so_far, registers,
                                  [&](Index row, Index tile_rows) {
                                    prefetch_rows(epilogue, first + i + row, tile_rows, column, valid);
                                  },
                                  [&](Index row, Index tile_rows, int used, S* tile) {
                                    further_panels.add(p, first + i + row, tile_rows, used, tile);
                                  },
                                  [&](Index row, const auto& sums) { epilogue.store(first + i + row, column, sums, valid); });
        }
      }
    }
  }
}

/// C = epilogue(A panels + further products). Groups of panels are the jobs.
template <Operand T, class Panels, class Epilogue, Executor E>
void gemm_panels(Rows<const T> a, const Panels& panels, Index columns, const Epilogue& epilogue, E& executor,
                 std::span<const FurtherProduct<T, Panels>> further = {}) {
  GemmPlan plan = GemmPlan::make<T>(a.rows, panels, executor.workers());
  if constexpr (requires { Epilogue::needs_all_rows; }) plan.split = 0;
  const Index whole = plan.groups - plan.split;
  executor.parallel_for(whole + plan.split * plan.pieces, [&](Index job, Index) {
    const Index begin = (job < whole ? job : whole + (job - whole) / plan.pieces) * plan.group;
    const Index first = job < whole ? 0 : (job - whole) % plan.pieces * plan.piece_rows;
    const Index rows = job < whole ? a.rows : std::min(plan.piece_rows, a.rows - first);
    if (rows <= 0) return;
    gemm_job(a, panels, columns, epilogue, further, plan, {begin, std::min(begin + plan.group, panels.count())}, first, rows);
  });
}

}  // namespace simd

/// A product of short sums that goes into another one: the second half of a LoRA pair.
template <Real S>
struct LowRankTerm {
  Rows<const S> a;
  WeightView w;
};

/// C = epilogue(A W^T): one linear layer, the weights used in their storage format.
///
/// Shapes  a [M, K], w [N, K]; the epilogue (StoreTo, StoreBias, AddTo) holds C [M, N], which must not overlap a
/// Order   each element is one chain of multiply-adds in rising k: bit-identical for any M, position and executor
template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.cols);
  simd::gemm_panels(a, simd::MatrixPanels<S>{w}, w.rows, epilogue, executor);
}

/// C = epilogue(A W^T + sum over terms of A' W'^T), the terms in order at the end of each element's chain.
///
/// Shapes  of a term: a [M, r], w [N, r]; r should be small, for its panels are made whole
template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const WeightView& w, std::span<const LowRankTerm<S>> terms, const Epilogue& epilogue,
             E& executor) {
  using Panels = simd::MatrixPanels<S>;
  std::vector<simd::FurtherProduct<S, Panels>> further;
  for (const LowRankTerm<S>& term : terms) further.push_back({term.a, Panels{term.w}});
  simd::gemm_panels(a, Panels{w}, w.rows, epilogue, executor, std::span<const simd::FurtherProduct<S, Panels>>(further));
}

template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const PackedWeight<S>& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.cols());
  simd::gemm_panels(a, w.panels(), w.rows(), epilogue, executor);
}

/// C = epilogue(A W): the way back through a linear layer, from the gradient of its output to that of its input.
///
/// Shapes  a [M, N], w [N, K]; the epilogue holds C [M, K], which must not overlap a
/// Order   as gemm_nt, in rising n
template <Real S, class Epilogue, Executor E>
void gemm_nn(Rows<const S> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.rows);
  simd::gemm_panels(a, simd::ColumnPanels<S>{w}, w.cols, epilogue, executor);
}

/// C = epilogue(A W + sum over terms of A' W').
///
/// Shapes  of a term: a [M, r], w [r, K]
template <Real S, class Epilogue, Executor E>
void gemm_nn(Rows<const S> a, const WeightView& w, std::span<const LowRankTerm<S>> terms, const Epilogue& epilogue,
             E& executor) {
  using Panels = simd::ColumnPanels<S>;
  std::vector<simd::FurtherProduct<S, Panels>> further;
  for (const LowRankTerm<S>& term : terms) further.push_back({term.a, Panels{term.w}});
  simd::gemm_panels(a, Panels{w}, w.cols, epilogue, executor, std::span<const simd::FurtherProduct<S, Panels>>(further));
}

/// out = act(A Wg^T) .* (A Wu^T): the first two maps of a gated feed-forward in one pass.
///
/// Shapes  a [M, K], gate and up [N, K], out [M, N]
template <class Activation, Real S, Executor E>
void gemm_nt_gated(Rows<const S> a, const WeightView& gate, const WeightView& up, Rows<S> out, E& executor) {
  assert(a.cols == gate.cols && a.cols == up.cols && gate.rows == up.rows);
  simd::gemm_panels(a, simd::GatedPanels<S>{gate, up}, gate.rows, StoreGated<Activation, S>{out}, executor);
}
template <class Activation, Real S, Executor E>
void gemm_nt_gated(Rows<const S> a, const PackedGatedWeight<S>& w, Rows<S> out, E& executor) {
  assert(a.cols == w.cols());
  simd::gemm_panels(a, w.panels(), w.rows(), StoreGated<Activation, S>{out}, executor);
}

}  // namespace embedpool
