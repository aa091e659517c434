#pragma once
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/kernels/heads/row_ranges.hpp"

/// Small steps of heads that move or add whole rows: a block for a row, its threads stride over the width.
namespace embedpool::cuda::head_kernels {

inline constexpr int row_threads = 128;

/// to[j] = from[j] (+ to[j]) of one row.
template <GridThread G>
EMBEDPOOL_DEVICE void copy_row(const G& thread, Index columns, bool packs, const float* from, float* to, bool add) {
  for_columns<float>(thread, columns, packs, [&](auto n, Index j) {
    auto values = load<n>(from + j);
    if (add) {
      const auto before = load<n>(static_cast<const float*>(to + j));
      for (std::size_t i = 0; i < n; ++i) values[i] += before[i];
    }
    store(to + j, values);
  });
}

/// y = x (+ y). Shapes: x, y [N, D], or x [1, D] for a row that all of y get, such as a bias
struct AddRows {
  static constexpr int threads = row_threads;
  Rows<const float> x;
  Rows<float> y;
  bool add = true;

  LaunchShape launch_shape() const noexcept { return {y.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    copy_row(thread, y.cols, in_packs(x) && in_packs(y), x.row_data(x.rows == 1 ? 0 : i), y.row_data(i), add);
  }
};

/// y = x + table[kind]. Shapes: x, y [N, D], table [kinds, D], kind [N]
struct AddTable {
  static constexpr int threads = row_threads;
  Rows<const float> x;
  Rows<const float> table;
  const Index* kind;
  Rows<float> y;

  LaunchShape launch_shape() const noexcept { return {x.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    const bool packs = in_packs(x) && in_packs(table) && in_packs(y);
    const float* const added = table.row_data(kind[i]);
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      auto values = load<n>(x.row_data(i) + j);
      const auto more = load<n>(added + j);
      for (std::size_t c = 0; c < n; ++c) values[c] += more[c];
      store(y.row_data(i) + j, values);
    });
  }
};

/// y[b r + i] = x[i], the same r rows for every text. Shapes: x [r, D], y [B r, D]
struct RepeatRows {
  static constexpr int threads = row_threads;
  Rows<const float> x;
  Rows<float> y;

  LaunchShape launch_shape() const noexcept { return {y.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    copy_row(thread, y.cols, in_packs(x) && in_packs(y), x.row_data(i % x.rows), y.row_data(i), false);
  }
};

/// out[b] = the last key of text b. Shapes: keys [N, D], out [B, D]
struct LastKeys {
  static constexpr int threads = row_threads;
  RowRanges ranges;
  Rows<const float> keys;
  Rows<float> out;

  LaunchShape launch_shape() const noexcept { return {ranges.texts, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index b = thread.block(), last = ranges.begin(b) + ranges.size(b) - 1;
    copy_row(thread, out.cols, in_packs(keys) && in_packs(out), keys.row_data(last), out.row_data(b), false);
  }
};

/// The way back through LastKeys: dkeys[last key of text b] += dout[b].
struct LastKeysBackward {
  static constexpr int threads = row_threads;
  RowRanges ranges;
  Rows<const float> dout;
  Rows<float> dkeys;

  LaunchShape launch_shape() const noexcept { return {ranges.texts, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index b = thread.block(), last = ranges.begin(b) + ranges.size(b) - 1;
    copy_row(thread, dout.cols, in_packs(dout) && in_packs(dkeys), dout.row_data(b), dkeys.row_data(last), true);
  }
};

/// out[k, n] = 1 where key n is of kind k, else 0: times rows it sums those of each kind. Shapes: kind [N], out [kinds, N]
struct KindIndicator {
  static constexpr int threads = row_threads;
  const Index* kind;
  Rows<float> out;

  LaunchShape launch_shape() const noexcept { return {divide_up(out.rows * out.cols, threads), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block() * threads + thread.index();
    if (i < out.rows * out.cols) out(i / out.cols, i % out.cols) = kind[i % out.cols] == i / out.cols ? 1.0f : 0.0f;
  }
};

/// x[i] = 1 for i < count.
struct FillOnes {
  static constexpr int threads = row_threads;
  float* x;
  Index count;

  LaunchShape launch_shape() const noexcept { return {divide_up(count, threads), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block() * threads + thread.index();
    if (i < count) x[i] = 1;
  }
};

}  // namespace embedpool::cuda::head_kernels
