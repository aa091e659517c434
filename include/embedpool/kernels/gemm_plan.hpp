#pragma once
#include <algorithm>

#include "embedpool/kernels/gemm_tile.hpp"

namespace embedpool::simd {

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

}  // namespace embedpool::simd
