#pragma once
#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// Sums over the rows of a matrix, the same to the bit every time: rows fall into slices of a fixed length, a block
/// sums the rows of a slice in a stripe of columns, its warps taking rows in turn, and a second pass sums the slices'
/// sums. Which rows are summed in which order depends on the number of rows alone.
inline constexpr int column_sum_threads = 256;

/// Rows that one block sums: enough that the sums of slices are few beside the rows.
inline constexpr Index column_sum_slice = 256;

template <class T>
constexpr Index column_sum_stripe(bool packs) noexcept {
  return warp_size * Index(packs ? pack_size<T> : 1);
}
template <class T>
constexpr LaunchShape column_sum_shape(Index rows, Index slice, Index cols, bool packs) noexcept {
  const Index values = column_sum_threads * Index(packs ? pack_size<T> : 1);
  return {divide_up(rows, slice) * divide_up(cols, column_sum_stripe<T>(packs)), values * Index(sizeof(float))};
}

/// What a block does: sums(s, j) = or += sum over the rows of slice s of value(row, j), where value(n, row, j) gives
/// the columns [j, j + n) as an array of floats; n is pack_size<T> when `packs`, else 1. Launched as
/// column_sum_shape<T>.
template <class T, GridThread G, class Value>
EMBEDPOOL_DEVICE void sum_columns(const G& thread, Index rows, Index slice, bool packs, bool adds, Rows<float> sums,
                                  Value&& value) {
  const auto run = [&](auto n) {
    constexpr std::size_t width = n;
    const Index stripes = divide_up(sums.cols, warp_size * n);
    const Index part = thread.block() / stripes, j = (thread.block() % stripes * warp_size + thread.lane()) * n;
    const Index end = rows - part * slice < slice ? rows : (part + 1) * slice;
    std::array<float, width> own{};
    if (j < sums.cols)
      for (Index row = part * slice + thread.warp(); row < end; row += column_sum_threads / warp_size) {
        const auto values = value(n, row, j);
        for (std::size_t i = 0; i < width; ++i) own[i] += values[i];
      }
    // [warps, width, lanes]: neighbouring lanes at neighbouring places
    float* const of_warps = reinterpret_cast<float*>(thread.shared());
    const auto place = [&](int warp, std::size_t i) {
      return (warp * int(width) + int(i)) * warp_size + thread.lane();
    };
    for (std::size_t i = 0; i < width; ++i) of_warps[place(thread.warp(), i)] = own[i];
    thread.synchronize();
    if (thread.warp() > 0 || j >= sums.cols) return;
    float* const to = sums.row_data(part) + j;
    if (adds) own = load<n>(static_cast<const float*>(to));
    for (std::size_t i = 0; i < width; ++i) {
      float sum = of_warps[place(0, i)];
      for (int warp = 1; warp < column_sum_threads / warp_size; ++warp) sum += of_warps[place(warp, i)];
      own[i] = adds ? own[i] + sum : sum;
    }
    store(to, own);
  };
  if (packs)
    run(std::integral_constant<int, pack_size<T>>{});
  else
    run(std::integral_constant<int, 1>{});
}

/// sums(s, j) = or += sum over the rows of slice s of x(row, j).
///
/// Shapes  x [N, D], sums [ceil(N / slice), D]
template <DeviceElement T>
struct ColumnSum {
  static constexpr int threads = column_sum_threads;
  Rows<const T> x;
  Index slice;
  Rows<float> sums;
  bool adds;

  LaunchShape launch_shape() const noexcept { return column_sum_shape<T>(x.rows, slice, x.cols, packs()); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    sum_columns<T>(thread, x.rows, slice, packs(), adds, sums,
                   [&](auto n, Index row, Index j) { return load<n>(x.row_data(row) + j); });
  }

 private:
  constexpr bool packs() const noexcept { return in_packs(x) && in_packs(sums); }
};

/// out += the column sums of N rows, which first(slice, sums, adds) launches for slices of `slice` rows; `parts` is
/// memory for those of several slices.
template <Device D, class First>
void sum_in_slices(D& device, Index rows, Index cols, float* out, DeviceBuffer<float>& parts, First&& first) {
  const Index slices = divide_up(rows, column_sum_slice);
  const Rows<float> total(out, 1, cols);
  if (slices <= 1) return first(column_sum_slice, total, true);
  const Rows<float> sums = parts.rows(device, slices, cols);
  first(column_sum_slice, sums, false);
  device.launch(ColumnSum<float>{sums, slices, total, true});
}

/// out += the sums of x's columns: the gradient of a bias.
///
/// Shapes  x [N, D], out [D]; parts is memory that is used again
/// Oracle  embedpool::column_sum
template <DeviceElement T, Device D>
void column_sum(D& device, Rows<const T> x, float* out, DeviceBuffer<float>& parts) {
  sum_in_slices(device, x.rows, x.cols, out, parts, [&](Index slice, Rows<float> sums, bool adds) {
    device.launch(ColumnSum<T>{x, slice, sums, adds});
  });
}

}  // namespace embedpool::cuda
