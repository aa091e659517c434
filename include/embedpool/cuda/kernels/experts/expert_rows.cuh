#pragma once
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/kernels/experts/expert_places.cuh"

namespace embedpool::cuda {

/// The row of x that belongs to each slot, rounded: a token's row once for each of its experts. A block for a slot.
///
/// Shapes  x [tokens, D], out [places, D]
/// Oracle  the definition
template <DeviceElement T>
struct GatherExpertRows {
  static constexpr int threads = 128;
  Rows<const float> x;
  DeviceRouting routing;
  ExpertSlots slots;
  Rows<T> out;

  LaunchShape launch_shape() const noexcept { return {routing.places(), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const float* const from = x.row_data(slots.place[thread.block()] / routing.per_token);
    T* const to = out.row_data(thread.block());
    for_columns<float>(thread, x.cols, in_packs(x) && in_packs(out),
                   [&](auto n, Index j) { store(to + j, load<n>(from + j)); });
  }
};

/// x += the weighted sum of what each token's experts made, in rising order of the experts. A block for a token.
///
/// Shapes  result [places, D] by slots, x [tokens, D]
/// Oracle  the definition: the sum at the end of embedpool::mixture_forward
struct AddExperts {
  static constexpr int threads = 128;
  Rows<const float> result;
  DeviceRouting routing;
  ExpertSlots slots;
  Rows<float> x;

  LaunchShape launch_shape() const noexcept { return {routing.tokens, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index first = thread.block() * routing.per_token;
    float* const to = x.row_data(thread.block());
    for_columns<float>(thread, x.cols, in_packs(result) && in_packs(x), [&](auto n, Index j) {
      auto sums = load<n>(static_cast<const float*>(to + j));
      for (Index place = first; place < first + routing.per_token; ++place) {
        const auto values = load<n>(result.row_data(slots.slot[place]) + j);
        for (std::size_t i = 0; i < n; ++i) sums[i] += routing.weight[place] * values[i];
      }
      store(to + j, sums);
    });
  }
};

}  // namespace embedpool::cuda
