#pragma once
#include <cmath>

#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// RMSNorm of every row: out = x / sqrt(mean(x^2) + eps) .* gain. A block for a row, its threads stride over the width.
///
/// Shapes  x, out [N, D] (may be the same), gain [D]
/// Oracle  embedpool::rms_norm
template <DeviceElement In, DeviceElement Out = In>
struct RmsNorm {
  static constexpr int threads = 128;
  Rows<const In> x;
  const float* gain;
  float epsilon;
  Rows<Out> out;

  LaunchShape launch_shape() const noexcept { return {x.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const In* const from = x.row_data(thread.block());
    Out* const to = out.row_data(thread.block());
    float squares = 0;
    for_columns<In>(thread, x.cols, in_packs(x), [&](auto n, Index j) {
      for (const float value : load<n>(from + j)) squares += value * value;
    });
    squares = block_reduce(thread, squares, Sum{}, reinterpret_cast<float*>(thread.shared()));
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(x.cols) + epsilon);
    for_columns<Wider<In, Out>>(thread, x.cols, in_packs(x) && in_packs(out) && in_packs(gain), [&](auto n, Index j) {
      auto values = load<n>(from + j);
      const auto gains = load<n>(gain + j);
      for (std::size_t i = 0; i < n; ++i) values[i] *= scale * gains[i];
      store(to + j, values);
    });
  }
};

/// A sum that joins the residual stream, and the norm of what comes out, in one pass: x += y, out = RMSNorm(x).
///
/// Shapes  x, y, out [N, D], gain [D]
/// Oracle  embedpool::rms_norm behind the sum
template <DeviceElement T>
struct AddRmsNorm {
  static constexpr int threads = 128;
  Rows<float> x;
  Rows<const T> y;
  const float* gain;
  float epsilon;
  Rows<T> out;

  LaunchShape launch_shape() const noexcept { return {x.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    float* const stream = x.row_data(thread.block());
    const T* const added = y.row_data(thread.block());
    T* const to = out.row_data(thread.block());
    const bool packs = in_packs(x) && in_packs(y) && in_packs(out) && in_packs(gain);
    float squares = 0;
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      auto values = load<n>(stream + j);
      const auto more = load<n>(added + j);
      for (std::size_t i = 0; i < n; ++i) {
        values[i] += more[i];
        squares += values[i] * values[i];
      }
      store(stream + j, values);
    });
    squares = block_reduce(thread, squares, Sum{}, reinterpret_cast<float*>(thread.shared()));
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(x.cols) + epsilon);
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {  // the columns that this thread wrote
      auto values = load<n>(static_cast<const float*>(stream) + j);
      const auto gains = load<n>(gain + j);
      for (std::size_t i = 0; i < n; ++i) values[i] *= scale * gains[i];
      store(to + j, values);
    });
  }
};

}  // namespace embedpool::cuda
