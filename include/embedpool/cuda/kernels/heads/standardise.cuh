#pragma once
#include <cmath>

#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/reduce.cuh"

namespace embedpool::cuda::head_kernels {

/// LayerNorm of every row, with what its backward needs:
///
///   x_hat = (x' - mean(x')) scale,  scale = 1 / sqrt(var(x') + eps),  x' = x + table[kind],  y = x_hat .* gain + bias
///
/// Plan    a block for a row, its threads stride over the width
/// Shapes  x, x_hat, y [N, D], scale [N]; table [kinds, D] and kind [N], or null; gain, bias [D] and y, or null
/// Oracle  embedpool::head_math::standardise_rows, layer_norm
struct StandardiseRows {
  static constexpr int threads = 128;
  Rows<const float> x;
  Rows<float> x_hat;
  float* scale;
  float epsilon;
  Rows<const float> table{};
  const Index* kind = nullptr;
  Rows<float> y{};
  const float* gain = nullptr;
  const float* bias = nullptr;

  LaunchShape launch_shape() const noexcept { return {x.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    const float* const from = x.row_data(i);
    const float* const added = table.data != nullptr ? table.row_data(kind[i]) : nullptr;
    const bool packs = in_packs(x) && in_packs(x_hat) && in_packs(table) && in_packs(y) && in_packs(gain) && in_packs(bias);
    float* const scratch = reinterpret_cast<float*>(thread.shared());
    const float share = 1.0f / static_cast<float>(x.cols);
    const auto values = [&](auto n, Index j) {
      auto own = load<n>(from + j);
      if (added != nullptr) {
        const auto more = load<n>(added + j);
        for (std::size_t c = 0; c < n; ++c) own[c] += more[c];
      }
      return own;
    };
    float sum = 0, squares = 0;
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      for (const float value : values(n, j)) sum += value;
    });
    const float mean = share * block_reduce(thread, sum, Sum{}, scratch);
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      for (const float value : values(n, j)) squares += (value - mean) * (value - mean);
    });
    squares = block_reduce(thread, squares, Sum{}, scratch);
    const float by = 1.0f / std::sqrt(share * squares + epsilon);
    if (thread.index() == 0) scale[i] = by;
    for_columns<float>(thread, x.cols, packs, [&](auto n, Index j) {
      auto hat = values(n, j);
      for (float& value : hat) value = (value - mean) * by;
      store(x_hat.row_data(i) + j, hat);
      if (gain == nullptr) return;
      const auto gains = load<n>(gain + j), biases = load<n>(bias + j);
      for (std::size_t c = 0; c < n; ++c) hat[c] = hat[c] * gains[c] + biases[c];
      store(y.row_data(i) + j, hat);
    });
  }
};

/// dx = scale (dx_hat - mean(dx_hat) - x_hat mean(dx_hat .* x_hat)) (+ dx),  dx_hat = dy .* gain
/// along = dy .* x_hat, whose column sums are the gain's gradient. It may be dy; dx may be dy where along is not.
///
/// Shapes  dy, x_hat, dx, along [N, D], scale [N]; gain [D] or null for 1; along may be empty
/// Oracle  embedpool::head_math::standardise_rows_backward, layer_norm_backward
struct StandardiseRowsBackward {
  static constexpr int threads = 128;
  Rows<const float> dy;
  Rows<const float> x_hat;
  const float* scale;
  Rows<float> dx;
  bool add = false;
  const float* gain = nullptr;
  Rows<float> along{};

  LaunchShape launch_shape() const noexcept { return {dy.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    const bool packs = in_packs(dy) && in_packs(x_hat) && in_packs(dx) && in_packs(along) && in_packs(gain);
    float* const scratch = reinterpret_cast<float*>(thread.shared());
    const float share = 1.0f / static_cast<float>(dy.cols);
    const auto times_gain = [&](auto values, auto n, Index j) {
      if (gain != nullptr) {
        const auto gains = load<n>(gain + j);
        for (std::size_t c = 0; c < n; ++c) values[c] *= gains[c];
      }
      return values;
    };
    float sum = 0, dot = 0;
    for_columns<float>(thread, dy.cols, packs, [&](auto n, Index j) {
      const auto d = times_gain(load<n>(dy.row_data(i) + j), n, j), hat = load<n>(x_hat.row_data(i) + j);
      for (std::size_t c = 0; c < n; ++c) sum += d[c], dot += d[c] * hat[c];
    });
    const float mean = share * block_reduce(thread, sum, Sum{}, scratch);
    const float slope = share * block_reduce(thread, dot, Sum{}, scratch);
    const float by = scale[i];
    for_columns<float>(thread, dy.cols, packs, [&](auto n, Index j) {
      auto d = load<n>(dy.row_data(i) + j);
      const auto hat = load<n>(x_hat.row_data(i) + j);
      auto out = times_gain(d, n, j);
      for (std::size_t c = 0; c < n; ++c) out[c] = by * ((out[c] - mean) - slope * hat[c]);
      if (add) {
        const auto before = load<n>(dx.row_data(i) + j);
        for (std::size_t c = 0; c < n; ++c) out[c] += before[c];
      }
      store(dx.row_data(i) + j, out);
      if (along.data == nullptr) return;
      for (std::size_t c = 0; c < n; ++c) d[c] *= hat[c];
      store(along.row_data(i) + j, d);
    });
  }
};

}  // namespace embedpool::cuda::head_kernels
