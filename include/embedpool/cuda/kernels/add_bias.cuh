#pragma once
#include "embedpool/cuda/kernels/stripes.cuh"

namespace embedpool::cuda {

/// y += bias in every row. A block for a stripe.
///
/// Shapes  bias [D], y [N, D]
/// Oracle  the definition
template <DeviceElement T>
struct AddBias {
  static constexpr int threads = stripe_threads;
  const float* bias;
  Rows<T> y;

  LaunchShape launch_shape() const noexcept { return stripes(y.rows, y.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    for_stripe<Wider<T, float>>(thread, y.cols, in_packs(y) && in_packs(bias), [&](auto n, Index row, Index j) {
      auto values = load<n>(static_cast<const T*>(y.row_data(row) + j));
      const auto added = load<n>(bias + j);
      for (std::size_t i = 0; i < n; ++i) values[i] += added[i];
      store(y.row_data(row) + j, values);
    });
  }
};

/// y += x. A block for a stripe.
///
/// Shapes  x, y [N, D]
/// Oracle  the definition
template <DeviceElement From, DeviceElement To = float>
struct AddRows {
  static constexpr int threads = stripe_threads;
  Rows<const From> x;
  Rows<To> y;

  LaunchShape launch_shape() const noexcept { return stripes(y.rows, y.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    for_stripe<Wider<From, To>>(thread, y.cols, in_packs(x) && in_packs(y), [&](auto n, Index row, Index j) {
      auto values = load<n>(static_cast<const To*>(y.row_data(row) + j));
      const auto added = load<n>(x.row_data(row) + j);
      for (std::size_t i = 0; i < n; ++i) values[i] += added[i];
      store(y.row_data(row) + j, values);
    });
  }
};

}  // namespace embedpool::cuda
