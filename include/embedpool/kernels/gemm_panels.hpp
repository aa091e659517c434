#pragma once
#include <algorithm>
#include <span>

#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/epilogue.hpp"
#include "embedpool/kernels/gemm_further.hpp"

namespace embedpool::simd {

/// Scratch of one worker, kept between calls: one group of panels, and C so far when the sums are split.
template <Operand T>
struct GemmScratch {
  AlignedBuffer<T> panels, further;
  AlignedBuffer<SumOf<T>> partial;
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

}  // namespace embedpool::simd
