#pragma once
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/kernels/device_activation.cuh"

namespace embedpool::cuda {

/// inner = act(gate) .* up. A block for a row.
///
/// Shapes  all [N, F]; inner may be gate or up
/// Oracle  embedpool::gated_product
template <DeviceElement T, class Activation>
struct Gated {
  static constexpr int threads = 256;
  Rows<const T> gate;
  Rows<const T> up;
  Rows<T> inner;

  LaunchShape launch_shape() const noexcept { return {gate.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T *const g = gate.row_data(thread.block()), *const u = up.row_data(thread.block());
    T* const to = inner.row_data(thread.block());
    for_columns<T>(thread, gate.cols, in_packs(gate) && in_packs(up) && in_packs(inner), [&](auto n, Index j) {
      const auto x = load<n>(g + j);
      auto values = load<n>(u + j);
      for (std::size_t i = 0; i < n; ++i) values[i] *= Activation::value(x[i]);
      store(to + j, values);
    });
  }
};

/// The way back through Gated, in place: gate becomes dgate = dinner .* up .* act'(gate), up becomes
/// dup = dinner .* act(gate).
///
/// Shapes  all [N, F]
/// Oracle  embedpool::gated_product_backward
template <DeviceElement T, class Activation>
struct GatedBackward {
  static constexpr int threads = 256;
  Rows<T> gate;
  Rows<T> up;
  Rows<const T> dinner;

  LaunchShape launch_shape() const noexcept { return {gate.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    T *const g = gate.row_data(thread.block()), *const u = up.row_data(thread.block());
    const T* const d = dinner.row_data(thread.block());
    for_columns<T>(thread, gate.cols, in_packs(gate) && in_packs(up) && in_packs(dinner), [&](auto n, Index j) {
      auto x = load<n>(static_cast<const T*>(g + j)), y = load<n>(static_cast<const T*>(u + j));
      const auto dz = load<n>(d + j);
      for (std::size_t i = 0; i < n; ++i) {
        const float value = Activation::value(x[i]);
        x[i] = dz[i] * y[i] * Activation::derivative(x[i]);
        y[i] = dz[i] * value;
      }
      store(g + j, x);
      store(u + j, y);
    });
  }
};

}  // namespace embedpool::cuda
