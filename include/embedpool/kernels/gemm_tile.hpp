#pragma once
#include <algorithm>
#include <array>
#include <utility>

#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/operand.hpp"
#include "embedpool/kernels/prefetch.hpp"

namespace embedpool::simd {

/// The register tile: `rows` rows of A times one panel of W, `vectors` registers wide. Accumulators, one row of the
/// panel and one broadcast value fit the registers: 6 x 16 floats with AVX2, 6 x 64 with AVX-512.
template <Operand T>
struct Tile {
  static constexpr int rows = 6;
  static constexpr int vectors = vector_registers == 32 ? 4 : 2;
  static constexpr Index width = vectors * lanes<SumOf<T>>;  ///< columns of C, rows of W: the width of a panel
};

/// sums[r][v] += sum over k of a[r][k] panel[k][v], k rising: one chain of multiply-adds for each element of C,
/// whatever the number of rows, so that a row's result does not depend on its neighbours.
///
/// Shapes  a R rows of K values, `stride` apart; panel [K, Tile::width], of which the first V registers are used
template <int R, int V, Operand T>
[[gnu::always_inline]] inline void multiply_tile(const T* a, Index stride, const T* panel, Index depth,
                                                 Vector<SumOf<T>> (&sums)[R][V]) noexcept {
  using Traits = OperandTraits<T>;
  for (Index k = 0; k < depth; ++k, panel += Tile<T>::width) {
    typename Traits::Register w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = Traits::load(panel + v * lanes<SumOf<T>>);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const auto x = Traits::broadcast(a[r * stride + k]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = Traits::multiply_add(x, w[v], sums[r][v]);
    }
  }
}

/// One tile of C: out[r] = partial[r] + sum over k of a[r][k] panel[k], or without `partial` when it is null. Rows of
/// out and partial are Tile::width apart.
///
/// The hot loop of the library, compiled once for each shape: what becomes of the sums is decided outside, behind a few
/// values in the first cache.
template <int R, int V, Operand T>
[[gnu::noinline]] void compute_tile(const T* a, Index stride, const T* panel, Index depth, const SumOf<T>* partial,
                                    SumOf<T>* out) noexcept {
  using S = SumOf<T>;
  Vector<S> sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      sums[r][v] = partial ? Vector<S>::load_aligned(partial + r * Tile<S>::width + v * lanes<S>) : Vector<S>(S(0));
  multiply_tile<R, V>(a, stride, panel, depth, sums);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v].store_aligned(out + r * Tile<S>::width + v * lanes<S>);
}

/// compute_tile for a number of rows and of registers that are known when it runs: of a panel's registers only the first
/// are computed where no more columns are left (a LoRA pair of rank 16 is a quarter of a panel).
template <Operand T>
struct TileOf {
  using Function = void (*)(const T*, Index, const T*, Index, const SumOf<T>*, SumOf<T>*) noexcept;

  template <int R>
  static constexpr auto of_rows = []<int... V>(std::integer_sequence<int, V...>) {
    return std::array<Function, sizeof...(V)>{&compute_tile<R, V + 1, T>...};
  }(std::make_integer_sequence<int, Tile<T>::vectors>());
  static constexpr std::array functions = {of_rows<1>, of_rows<2>, of_rows<3>, of_rows<4>, of_rows<5>, of_rows<6>};

  static Function get(Index rows, int registers) noexcept {
    return functions[static_cast<std::size_t>(rows - 1)][static_cast<std::size_t>(registers - 1)];
  }
};

/// A step of multiply_panel that a caller does not need.
inline constexpr auto nothing = [](auto...) noexcept {};

/// All rows of `a` against one panel, in as few tiles as can be and these as even as can be (7 rows as 4 and 3, 32 as
/// 6, 6, 5, 5, 5, 5): a tile of few rows waits for the panel. The split does not change any result.
///
/// Shapes  a [M, depth]; panel [depth, width], 64-byte aligned; partial null or [M, width], aligned. Of the panel's
///         registers the first `registers` <= V are computed, and V handed to `finish(row, sums)`: zeros behind those.
///         For rows [first, first + count), a tile, `before(first, count)` may ask for memory, and
///         `further(first, count, registers, tile)` go on with the sums.
template <int V, Operand T, class Before, class Further, class Finish>
void multiply_panel(Rows<const T> a, const T* panel, const SumOf<T>* partial, int registers, const Before& before,
                    const Further& further, const Finish& finish) noexcept {
  using S = SumOf<T>;
  static_assert(Tile<T>::rows == 6);
  constexpr Index begin_of_row = 512 / static_cast<Index>(sizeof(T));  // after eight lines the machine has understood
  Index i = 0;
  alignas(64) S tile[static_cast<std::size_t>(Tile<S>::rows * Tile<S>::width)];
  if (registers < V) std::fill(std::begin(tile), std::end(tile), S(0));
  while (i < a.rows) {
    const Index left = a.rows - i, tiles = (left + 5) / 6, count = (left + tiles - 1) / tiles;
    const S* part = partial ? partial + i * Tile<S>::width : nullptr;
    for (Index r = i + count; r < std::min(i + 2 * count, a.rows); ++r)
      prefetch(a.row_data(r), std::min(begin_of_row, a.cols));
    before(i, count);
    TileOf<T>::get(count, registers)(a.row_data(i), a.stride, panel, a.cols, part, tile);
    further(i, count, registers, tile);
    for (Index r = 0; r < count; ++r) {
      Vector<S> sums[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[v] = Vector<S>::load_aligned(tile + r * Tile<S>::width + v * lanes<S>);
      finish(i + r, sums);
    }
    i += count;
  }
}

/// The same without sums so far and further products, for a panel of which only the first `columns` matter: with as few
/// registers as hold them.
template <int V, Real S, class Finish>
void multiply_narrow_panel(Rows<const S> a, const S* panel, Index columns, const Finish& finish) noexcept {
  if constexpr (V > 1)
    if (columns <= (V - 1) * lanes<S>) return multiply_narrow_panel<V - 1>(a, panel, columns, finish);
  multiply_panel<V>(a, panel, static_cast<const S*>(nullptr), V, nothing, nothing, finish);
}

}  // namespace embedpool::simd
