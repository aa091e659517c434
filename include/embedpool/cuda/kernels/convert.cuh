#pragma once
#include "embedpool/cuda/kernels/stripes.cuh"

namespace embedpool::cuda {

/// to = from, by way of float. A block for a stripe.
///
/// Shapes  from, to [N, D]
/// Oracle  the definition
template <DeviceElement From, DeviceElement To>
struct Convert {
  static constexpr int threads = stripe_threads;
  Rows<const From> from;
  Rows<To> to;

  LaunchShape launch_shape() const noexcept { return stripes(from.rows, from.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    for_stripe<Wider<From, To>>(thread, from.cols, in_packs(from) && in_packs(to), [&](auto n, Index row, Index j) {
      store(to.row_data(row) + j, load<n>(from.row_data(row) + j));
    });
  }
};

/// to = value everywhere. A block for a stripe.
template <DeviceElement T>
struct Fill {
  static constexpr int threads = stripe_threads;
  float value;
  Rows<T> to;

  LaunchShape launch_shape() const noexcept { return stripes(to.rows, to.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    for_stripe<T>(thread, to.cols, in_packs(to), [&](auto n, Index row, Index j) {
      std::array<float, n> values;
      for (float& each : values) each = value;
      store(to.row_data(row) + j, values);
    });
  }
};

}  // namespace embedpool::cuda
