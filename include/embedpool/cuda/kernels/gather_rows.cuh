#pragma once
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/packed_texts.hpp"

namespace embedpool::cuda {

/// The row that the token in row `row` of `from` has in `to`. Requires  `to` holds it
constexpr Index row_in(const PackedTexts& to, const PackedTexts& from, Index row) noexcept {
  const Index text = from.text_of_row[row];
  return to.first_row[text] + from.position(row) - to.held[text].begin;
}

/// out = the selected tokens' rows of x, which stays. A block for a selected token.
///
/// Shapes    x [all.rows, D], out [selected.rows, D]; not the same memory
/// Requires  `selected` holds no token that `all` does not
/// Oracle    embedpool::gather_rows
template <DeviceElement T>
struct GatherRows {
  static constexpr int threads = 128;
  Rows<const T> x;
  PackedTexts all;
  PackedTexts selected;
  Rows<T> out;

  LaunchShape launch_shape() const noexcept { return {selected.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = x.row_data(row_in(all, selected, thread.block()));
    T* const to = out.row_data(thread.block());
    for_columns<T>(thread, x.cols, in_packs(x) && in_packs(out),
                   [&](auto n, Index j) { store(to + j, load<n>(from + j)); });
  }
};

/// The way back through GatherRows: dx += the rows of dout at their tokens' places. A block for a selected token.
///
/// Shapes  dout [selected.rows, D], dx [all.rows, D]
/// Oracle  embedpool::scatter_rows
template <DeviceElement T>
struct ScatterRows {
  static constexpr int threads = 128;
  Rows<const T> dout;
  PackedTexts all;
  PackedTexts selected;
  Rows<T> dx;

  LaunchShape launch_shape() const noexcept { return {selected.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = dout.row_data(thread.block());
    T* const to = dx.row_data(row_in(all, selected, thread.block()));
    for_columns<T>(thread, dx.cols, in_packs(dout) && in_packs(dx), [&](auto n, Index j) {
      auto values = load<n>(static_cast<const T*>(to + j));
      const auto added = load<n>(from + j);
      for (std::size_t i = 0; i < n; ++i) values[i] += added[i];
      store(to + j, values);
    });
  }
};

/// Every token's row: a selected token's row of x, 0 for all others. A block for a token of `all`.
///
/// Shapes  x [selected.rows, D], out [all.rows, D]; not the same memory
/// Oracle  embedpool::expand_rows
template <DeviceElement T>
struct ExpandRows {
  static constexpr int threads = 128;
  Rows<const T> x;
  PackedTexts all;
  PackedTexts selected;
  Rows<T> out;

  LaunchShape launch_shape() const noexcept { return {all.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index row = thread.block();
    const bool held = selected.held[all.text_of_row[row]].contains(all.position(row));
    const T* const from = held ? x.row_data(row_in(selected, all, row)) : nullptr;
    T* const to = out.row_data(row);
    for_columns<T>(thread, out.cols, in_packs(x) && in_packs(out), [&](auto n, Index j) {
      std::array<float, n> values{};
      if (held) values = load<n>(from + j);
      store(to + j, values);
    });
  }
};

}  // namespace embedpool::cuda
