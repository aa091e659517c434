#pragma once
#include <algorithm>

#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/simd.hpp"

namespace embedpool::simd {

/// The register tile: `rows` rows of A times one panel of W, `vectors` registers wide. Accumulators, one row of the
/// panel and one broadcast value fit the registers: 6 x 16 floats with AVX2, 6 x 64 with AVX-512.
template <Real S>
struct Tile {
  static constexpr int rows = 6;
  static constexpr int vectors = vector_registers == 32 ? 4 : 2;
  static constexpr Index width = vectors * lanes<S>;  ///< columns of C, rows of W: the width of a panel
};

/// sums[r][v] += sum over k of a[r][k] panel[k][v], k rising: one chain of multiply-adds for each element of C, whatever
/// the number of rows, so that a row's result does not depend on its neighbours.
///
/// Shapes  a R rows of K values, `stride` apart; panel [K, V lanes]
template <int R, int V, Real S>
[[gnu::always_inline]] inline void multiply_tile(const S* a, Index stride, const S* panel, Index depth,
                                                 Vector<S> (&sums)[R][V]) noexcept {
  for (Index k = 0; k < depth; ++k, panel += V * lanes<S>) {
    Vector<S> w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = Vector<S>::load_aligned(panel + v * lanes<S>);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Vector<S> x(a[r * stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = fma<S>(x, w[v], sums[r][v]);
    }
  }
}

/// One tile of C from start to end: adds to `partial` (C so far, rows `width` apart) unless it is null, and hands the
/// result to `finish(row, sums)`.
template <int R, Real S, class Finish>
void run_tile(const S* a, Index stride, const S* panel, Index depth, const S* partial, Index first_row,
              const Finish& finish) noexcept {
  constexpr int V = Tile<S>::vectors;
  Vector<S> sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      sums[r][v] = partial ? Vector<S>::load_aligned(partial + r * Tile<S>::width + v * lanes<S>) : Vector<S>(S(0));
  multiply_tile<R, V>(a, stride, panel, depth, sums);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) finish(first_row + r, sums[r]);
}

/// All rows of `a` against one panel: tiles of `Tile::rows`, the last rows split so that no tile of one or two rows is
/// left where it can be helped (7 = 4 + 3, 8 = 4 + 4). The split does not change any result.
///
/// Shapes  a [M, depth]; panel [depth, width], 64-byte aligned; partial null or [M, width], aligned
template <Real S, class Finish>
void multiply_panel(Rows<const S> a, const S* panel, const S* partial, const Finish& finish) noexcept {
  static_assert(Tile<S>::rows == 6);
  Index i = 0;
  while (i < a.rows) {
    const Index left = a.rows - i;
    const Index count = left >= 6 && left != 7 && left != 8 ? 6 : left >= 7 ? 4 : left;
    const S* part = partial ? partial + i * Tile<S>::width : nullptr;
    const S* rows = a.row_data(i);
    switch (count) {
      case 6: run_tile<6>(rows, a.stride, panel, a.cols, part, i, finish); break;
      case 5: run_tile<5>(rows, a.stride, panel, a.cols, part, i, finish); break;
      case 4: run_tile<4>(rows, a.stride, panel, a.cols, part, i, finish); break;
      case 3: run_tile<3>(rows, a.stride, panel, a.cols, part, i, finish); break;
      case 2: run_tile<2>(rows, a.stride, panel, a.cols, part, i, finish); break;
      default: run_tile<1>(rows, a.stride, panel, a.cols, part, i, finish); break;
    }
    i += count;
  }
}

}  // namespace embedpool::simd
