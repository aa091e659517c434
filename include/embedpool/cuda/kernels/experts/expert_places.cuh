#pragma once
#include "embedpool/cuda/kernels/experts/route_tokens.cuh"

namespace embedpool::cuda {

/// The places of a routing, ordered by expert and among those of one expert as they were: slots. The rows of an expert
/// lie together there, which is what its products want.
struct ExpertSlots {
  Index experts = 0;
  std::int32_t* first = nullptr;  ///< [experts + 1] each expert's first slot, and the number of all
  std::int32_t* place = nullptr;  ///< [places] of each slot
  std::int32_t* slot = nullptr;   ///< [places] of each place
};

/// Orders the places. A block for an expert, whose threads look through a run of places each: once to count, once to write.
/// The numbers never leave the device, so that nothing waits and a graph can hold it.
///
/// Shapes    those of DeviceRouting and ExpertSlots
/// Requires  every entry of routing.expert in [0, experts)
/// Oracle    std::stable_sort of the places by expert
struct OrderPlaces {
  static constexpr int threads = 256;
  DeviceRouting routing;
  ExpertSlots slots;

  LaunchShape launch_shape() const noexcept { return {slots.experts, 2 * threads * Index(sizeof(std::int32_t))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index expert = thread.block(), places = routing.places(), run = divide_up(places, threads);
    const Index begin = run * thread.index(), end = begin + run < places ? begin + run : places;
    std::int32_t* const before = reinterpret_cast<std::int32_t*>(thread.shared());  // places of lower experts
    std::int32_t* const own = before + threads;
    std::int32_t lower = 0, count = 0;
    for (Index i = begin; i < end; ++i) lower += routing.expert[i] < expert, count += routing.expert[i] == expert;
    before[thread.index()] = lower, own[thread.index()] = count;
    thread.synchronize();

    std::int32_t first = 0;
    for (int t = 0; t < threads; ++t) first += before[t];
    if (thread.index() == 0) slots.first[expert] = first;
    if (thread.index() == 0 && expert + 1 == slots.experts) slots.first[slots.experts] = static_cast<std::int32_t>(places);
    for (int t = 0; t < thread.index(); ++t) first += own[t];
    for (Index i = begin; i < end; ++i)
      if (routing.expert[i] == expert) {
        slots.place[first] = static_cast<std::int32_t>(i);
        slots.slot[i] = first++;
      }
  }
};

}  // namespace embedpool::cuda
