#pragma once
#include <cmath>

#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/column_sum.cuh"

namespace embedpool::cuda {

/// The way back through RmsNorm: with s = 1 / sqrt(mean(x^2) + eps),
///
///   dx_j += s gain_j dy_j - x_j s^3 / D sum over i of gain_i dy_i x_i
///
/// A block for a row. rms_norm_gain_backward needs the `scales`.
///
/// Shapes  x (as RmsNorm saw it), dy, dx [N, D], gain [D]; scales [N] of s, or null
/// Oracle  embedpool::rms_norm_backward
template <DeviceElement In, DeviceElement T>
struct RmsNormBackward {
  static constexpr int threads = 128;
  Rows<const In> x;
  const float* gain;
  float epsilon;
  Rows<const T> dy;
  Rows<float> dx;
  float* scales = nullptr;

  LaunchShape launch_shape() const noexcept { return {x.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const In* const values = x.row_data(thread.block());
    const T* const dout = dy.row_data(thread.block());
    float* const to = dx.row_data(thread.block());
    const bool packs = in_packs(x) && in_packs(dy) && in_packs(dx) && in_packs(gain);
    float squares = 0, radial = 0;
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      const auto v = load<n>(values + j), d = load<n>(dout + j), g = load<n>(gain + j);
      for (std::size_t i = 0; i < n; ++i) {
        squares += v[i] * v[i];
        radial += g[i] * d[i] * v[i];
      }
    });
    float* const scratch = reinterpret_cast<float*>(thread.shared());
    squares = block_reduce(thread, squares, Sum{}, scratch);
    radial = block_reduce(thread, radial, Sum{}, scratch);
    const float width = static_cast<float>(x.cols);
    const float scale = 1.0f / std::sqrt(squares / width + epsilon);
    radial *= scale * scale * scale / width;
    if (scales != nullptr && thread.index() == 0) scales[thread.block()] = scale;
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      const auto v = load<n>(values + j), d = load<n>(dout + j), g = load<n>(gain + j);
      auto sums = load<n>(static_cast<const float*>(to + j));
      for (std::size_t i = 0; i < n; ++i) sums[i] += scale * g[i] * d[i] - radial * v[i];
      store(to + j, sums);
    });
  }
};

/// Sums of dy .* x s over slices of rows, the gradient of an RMSNorm's gain in parts; see ColumnSum for plan and order.
/// Where x has heads that are normed by themselves, a row has `heads` of them, all with the same gain.
///
/// Shapes  x, dy [N, heads d], scales [N heads], sums [slices, d]
template <DeviceElement In, DeviceElement T>
struct RmsNormGainBackward {
  static constexpr int threads = column_sum_threads;
  Rows<const In> x;
  Index heads;
  const float* scales;
  Rows<const T> dy;
  Index slice;
  Rows<float> sums;
  bool adds;

  LaunchShape launch_shape() const noexcept {
    return column_sum_shape<Wider<In, T>>(x.rows * heads, slice, head_dim(), packs());
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    sum_columns<Wider<In, T>>(thread, x.rows * heads, slice, packs(), adds, sums, [&](auto n, Index row, Index j) {
      const Index at = row % heads * head_dim() + j;
      auto values = load<n>(x.row_data(row / heads) + at);
      const auto d = load<n>(dy.row_data(row / heads) + at);
      for (std::size_t i = 0; i < n; ++i) values[i] *= d[i] * scales[row];
      return values;
    });
  }

 private:
  constexpr Index head_dim() const noexcept { return x.cols / heads; }
  constexpr bool packs() const noexcept {
    return head_dim() % std::max(pack_size<In>, pack_size<T>) == 0 && in_packs(x) && in_packs(dy) && in_packs(sums);
  }
};

/// dgain += sum over rows, and over the heads of a row, of dy .* x s.
///
/// Shapes  x, dy [N, heads d], scales [N heads] from RmsNormBackward (heads 1) or HeadNormBackward, dgain [d]
/// Oracle  embedpool::rms_norm_gain_backward
template <DeviceElement In, DeviceElement T, Device D>
void rms_norm_gain_backward(D& device, Rows<const In> x, Index heads, const float* scales, Rows<const T> dy,
                            float* dgain, DeviceBuffer<float>& parts) {
  sum_in_slices(device, x.rows * heads, x.cols / heads, dgain, parts, [&](Index slice, Rows<float> sums, bool adds) {
    device.launch(RmsNormGainBackward<In, T>{x, heads, scales, dy, slice, sums, adds});
  });
}

}  // namespace embedpool::cuda
