#pragma once
#include <algorithm>
#include <cassert>
#include <utility>

#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/gemm_tile.hpp"
#include "embedpool/kernels/prefetch.hpp"

namespace embedpool {

namespace scalar {

/// The definition: C[i][j] += sum over t of A[t][i] B[t][j], one chain from what C holds.
template <Real S>
void gemm_tn(Rows<const S> a, Rows<const S> b, Rows<S> c) noexcept {
  for (Index i = 0; i < a.cols; ++i)
    for (Index j = 0; j < b.cols; ++j)
      for (Index t = 0; t < a.rows; ++t) c(i, j) += a(t, i) * b(t, j);
}

}  // namespace scalar

namespace simd {

/// c[r][v] += sum over t of a[t][r] b[t][v], t rising: a tile of a sum of outer products, both operands as they lie.
///
/// With each row of b that `ahead` values further on is asked for: strips of long rows lie on a page of their own each.
template <int R, int V, Real S>
[[gnu::noinline]] void add_outer_products(Rows<const S> a, Rows<const S> b, Rows<S> c, Index ahead) noexcept {
  Vector<S> sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = Vector<S>::load_unaligned(c.row_data(r) + v * lanes<S>);
  const S* of_a = a.data;
  const S* of_b = b.data;
  for (Index t = 0; t < a.rows; ++t, of_a += a.stride, of_b += b.stride) {
    prefetch(of_b + ahead, V * lanes<S>);
    Vector<S> w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = Vector<S>::load_unaligned(of_b + v * lanes<S>);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Vector<S> x(of_a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = fma<S>(x, w[v], sums[r][v]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v].store_unaligned(c.row_data(r) + v * lanes<S>);
}

/// The same for all rows of C and for a strip of V registers of columns: a run of t at a time, which stays in the first
/// cache for all tiles.
template <int V, Real S>
void add_outer_strip(Rows<const S> a, Rows<const S> b, Rows<S> c) noexcept {
  constexpr Index run = 64;
  for (Index t = 0; t < a.rows; t += run) {
    const Index now = std::min(run, a.rows - t);
    const Rows<const S> of_b = b.middle_rows(t, now);
    const Index ahead = t + 2 * run <= a.rows ? run * b.stride : 0;  // in the next run
    for (Index i = 0, count; i < c.rows; i += count) {
      const Index left = c.rows - i, tiles = (left + 5) / 6;
      count = (left + tiles - 1) / tiles;
      const Rows<const S> of_a = a.middle_rows(t, now).middle_cols(i, count);
      const Rows<S> tile = c.middle_rows(i, count);
      switch (count) {
        case 6: add_outer_products<6, V>(of_a, of_b, tile, ahead); break;
        case 5: add_outer_products<5, V>(of_a, of_b, tile, ahead); break;
        case 4: add_outer_products<4, V>(of_a, of_b, tile, ahead); break;
        case 3: add_outer_products<3, V>(of_a, of_b, tile, ahead); break;
        case 2: add_outer_products<2, V>(of_a, of_b, tile, ahead); break;
        default: add_outer_products<1, V>(of_a, of_b, tile, ahead); break;
      }
    }
  }
}

/// The last columns, which fill no register.
template <Real S>
void add_outer_columns(Rows<const S> a, Rows<const S> b, Rows<S> c) noexcept {
  for (Index i = 0; i < c.rows; ++i)
    for (Index j = 0; j < c.cols; ++j) {
      S sum = c(i, j);
      for (Index t = 0; t < a.rows; ++t) sum += a(t, i) * b(t, j);
      c(i, j) = sum;
    }
}

}  // namespace simd

/// C += A^T B, a sum over the rows that A and B share: the gradient of a weight, dW += dY^T X over packed tokens.
///
/// Shapes  a [T, M], b [T, N], c [M, N]; c must not overlap a or b
/// Order   each element is one chain of multiply-adds in rising t that goes on from what C holds: bit-identical for any
///         executor, and for rows that come at once or in parts
template <Real S, Executor E>
void gemm_tn(Rows<const S> a, Rows<const S> b, Rows<S> c, E& executor) {
  assert(a.rows == b.rows && a.cols == c.rows && b.cols == c.cols);
  constexpr Index width = simd::Tile<S>::width, most_rows = 96;
  const Index strips = (c.cols + width - 1) / width, parts = (c.rows + most_rows - 1) / most_rows;
  executor.parallel_for(strips * parts, [&](Index job, Index) {
    const Index first = job / strips * most_rows, rows = std::min(most_rows, c.rows - first);
    const Index column = job % strips * width, columns = std::min(width, c.cols - column);
    const Rows<const S> of_a = a.middle_cols(first, rows);
    const auto strip = [&](auto of, Index from, Index count) { return of.middle_cols(column + from, count); };
    const Rows<S> of_c = c.middle_rows(first, rows);
    if (columns == width)
      return simd::add_outer_strip<simd::Tile<S>::vectors>(of_a, strip(b, 0, width), strip(of_c, 0, width));
    Index from = 0;
    for (; from + simd::lanes<S> <= columns; from += simd::lanes<S>)
      simd::add_outer_strip<1>(of_a, strip(b, from, simd::lanes<S>), strip(of_c, from, simd::lanes<S>));
    if (from < columns) simd::add_outer_columns(of_a, strip(b, from, columns - from), strip(of_c, from, columns - from));
  });
}

}  // namespace embedpool
