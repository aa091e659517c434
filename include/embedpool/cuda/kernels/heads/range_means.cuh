#pragma once
#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"
#include "embedpool/cuda/kernels/heads/row_ranges.hpp"

namespace embedpool::cuda::head_kernels {

/// A thread for a text and a column: it goes through the text's rows in their order.
struct ColumnOfText {
  static constexpr int threads = 128;
  Index text, column;

  template <GridThread G>
  EMBEDPOOL_DEVICE ColumnOfText(const G& thread, Index columns) {
    const Index tiles = divide_up(columns, threads);
    text = thread.block() / tiles;
    column = thread.block() % tiles * threads + thread.index();
  }
  static constexpr LaunchShape shape(const RowRanges& rows, Index columns) noexcept {
    return {rows.texts * divide_up(columns, threads), 0};
  }
};

/// out[b] = mean of the rows of text b, or their sum (+ out[b]). Shapes: x [N, D], out [B, D]
struct RangeMeans {
  static constexpr int threads = ColumnOfText::threads;
  RowRanges ranges;
  Rows<const float> x;
  Rows<float> out;
  bool add = false;
  bool mean = true;

  LaunchShape launch_shape() const noexcept { return ColumnOfText::shape(ranges, x.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const ColumnOfText own(thread, x.cols);
    if (own.column >= x.cols) return;
    const Index begin = ranges.begin(own.text), size = ranges.size(own.text);
    float sum = 0;
    for (Index i = begin; i < begin + size; ++i) sum += x(i, own.column);
    if (mean) sum /= static_cast<float>(size);
    float& to = out(own.text, own.column);
    to = add ? to + sum : sum;
  }
};

/// The way back: dx[i] = dout[b] / rows of b (+ dx[i]) for the rows of text b; with `share` false they get dout[b] whole.
struct RangeSpread {
  static constexpr int threads = ColumnOfText::threads;
  RowRanges ranges;
  Rows<const float> dout;
  Rows<float> dx;
  bool add = false;
  bool share = true;

  LaunchShape launch_shape() const noexcept { return ColumnOfText::shape(ranges, dx.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const ColumnOfText own(thread, dx.cols);
    if (own.column >= dx.cols) return;
    const Index begin = ranges.begin(own.text), size = ranges.size(own.text);
    const float value = dout(own.text, own.column) / (share ? static_cast<float>(size) : 1.0f);
    for (Index i = begin; i < begin + size; ++i) dx(i, own.column) = add ? dx(i, own.column) + value : value;
  }
};

}  // namespace embedpool::cuda::head_kernels
