#pragma once
#include "embedpool/kernels/activation.hpp"
#include "embedpool/kernels/gemm_tile.hpp"

namespace embedpool {

/// What happens to a row of a register tile of C before it is written. An epilogue has
///
///   panel_columns()                         how many columns of C a panel of `Tile::width` sums gives
///   store(row, column, sums, count)         `count` columns of C from `column` on; sums is an array of registers
///
/// Whole registers are stored as such, the last columns of C one by one with the same arithmetic.
namespace simd {

/// Writes the registers of a tile's row to memory, for the columns that fill no register.
template <Real S, std::size_t V>
const S* spill(const Vector<S> (&sums)[V], S* out) noexcept {
  for (std::size_t v = 0; v < V; ++v) sums[v].store_aligned(out + static_cast<Index>(v) * lanes<S>);
  return out;
}

/// Calls whole(v, column) for each whole register of `count` columns, then single(value index, column) for the rest.
template <Real S, class Whole, class Single>
[[gnu::always_inline]] inline void for_columns(Index column, Index count, const Whole& whole, const Single& single) {
  constexpr Index n = lanes<S>;
  Index c = 0;
  for (int v = 0; c + n <= count; c += n, ++v) whole(v, column + c);
  for (; c < count; ++c) single(c, column + c);
}

}  // namespace simd

/// C = A W^T
template <Real S>
struct StoreTo {
  Rows<S> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    S* out = c.row_data(row);
    const S* values = nullptr;
    alignas(64) S spilled[V * simd::Vector<S>::size];
    simd::for_columns<S>(column, count, [&](int v, Index j) { sums[v].store_unaligned(out + j); },
                         [&](Index i, Index j) {
                           if (!values) values = simd::spill<S>(sums, spilled);
                           out[j] = values[i];
                         });
  }
};

/// C = A W^T + b, b [N]
template <Real S>
struct StoreBias {
  Rows<S> c;
  const S* bias;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    S* out = c.row_data(row);
    const S* values = nullptr;
    alignas(64) S spilled[V * simd::Vector<S>::size];
    simd::for_columns<S>(column, count,
                         [&](int v, Index j) {
                           (sums[v] + simd::Vector<S>::load_unaligned(bias + j)).store_unaligned(out + j);
                         },
                         [&](Index i, Index j) {
                           if (!values) values = simd::spill<S>(sums, spilled);
                           out[j] = values[i] + bias[j];
                         });
  }
};

/// C += A W^T: the residual stream.
template <Real S>
struct AddTo {
  Rows<S> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    S* out = c.row_data(row);
    const S* values = nullptr;
    alignas(64) S spilled[V * simd::Vector<S>::size];
    simd::for_columns<S>(column, count,
                         [&](int v, Index j) {
                           (simd::Vector<S>::load_unaligned(out + j) + sums[v]).store_unaligned(out + j);
                         },
                         [&](Index i, Index j) {
                           if (!values) values = simd::spill<S>(sums, spilled);
                           out[j] += values[i];
                         });
  }
};

/// C = act(A Wg^T) .* (A Wu^T): the first half of the sums are of the gate, the second half of the up projection.
template <class Activation, Real S>
struct StoreGated {
  Rows<S> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width / 2; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    S* out = c.row_data(row);
    const S* values = nullptr;
    alignas(64) S spilled[V * simd::Vector<S>::size];
    simd::for_columns<S>(column, count,
                         [&](int v, Index j) {
                           (Activation::value(sums[v]) * sums[static_cast<std::size_t>(v) + V / 2]).store_unaligned(out + j);
                         },
                         [&](Index i, Index j) {
                           if (!values) values = simd::spill<S>(sums, spilled);
                           out[j] = Activation::value(values[i]) * values[i + panel_columns()];
                         });
  }
};

}  // namespace embedpool
