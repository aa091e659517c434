#pragma once
#include <cmath>
#include <cstdint>

#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/reduce.cuh"

namespace embedpool::cuda {

/// The experts of every token on a device. Entry `token * per_token + i` of both is a token's i-th expert: a place.
struct DeviceRouting {
  Index tokens = 0;
  Index per_token = 0;
  std::int32_t* expert = nullptr;  ///< [tokens, per_token], each row in rising order
  float* weight = nullptr;         ///< [tokens, per_token], each row sums to 1

  constexpr Index places() const noexcept { return tokens * per_token; }
};

/// Softmax over a token's logits, of which the largest are kept (of equal ones the first) and divided by their sum. A
/// warp for a token finds them one after the other.
///
/// Shapes    logits [tokens, experts]
/// Requires  per_token <= experts < 2^24
/// Errors    none: a NaN ranks nowhere; where too few others are left, experts are any that there are and weights NaN
/// Oracle    embedpool::route_token
struct RouteTokens {
  static constexpr int threads = 128;
  Rows<const float> logits;
  DeviceRouting routing;

  LaunchShape launch_shape() const noexcept { return {divide_up(routing.tokens, threads / warp_size), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index token = thread.block() * (threads / warp_size) + thread.warp();
    if (token >= routing.tokens) return;  // a whole warp, and no barrier is the block's
    const float* const values = logits.row_data(token);
    std::int32_t* const expert = routing.expert + token * routing.per_token;
    float* const weight = routing.weight + token * routing.per_token;

    float value = infinity, peak = 0;  // of the expert that was found last: all others come behind it
    Index found = -1;
    for (Index kept = 0; kept < routing.per_token; ++kept) {
      float best = -infinity;
      Index at = logits.cols;
      for (Index e = thread.lane(); e < logits.cols; e += warp_size)
        if ((values[e] < value || (values[e] == value && e > found)) && (values[e] > best || at == logits.cols))
          best = values[e], at = e;
      value = warp_reduce(thread, best, Largest{});
      const float mine = at < logits.cols && best == value ? static_cast<float>(at) : infinity;
      const float first = -warp_reduce(thread, -mine, Largest{});
      if (first == infinity) value = __builtin_nanf("");  // nothing ranks behind a NaN
      found = first == infinity ? kept : static_cast<Index>(first);
      if (kept == 0) peak = value;
      if (thread.lane() == 0) insert(expert, weight, kept, static_cast<std::int32_t>(found), std::exp(value - peak));
    }
    if (thread.lane() != 0) return;
    float sum = 0;
    for (Index i = 0; i < routing.per_token; ++i) sum += weight[i];
    for (Index i = 0; i < routing.per_token; ++i) weight[i] /= sum;
  }

 private:
  static constexpr float infinity = __builtin_huge_valf();

  /// Puts an expert among the `count` that are there, in rising order.
  EMBEDPOOL_DEVICE static void insert(std::int32_t* expert, float* weight, Index count, std::int32_t which, float value) {
    Index i = count;
    for (; i > 0 && expert[i - 1] > which; --i) expert[i] = expert[i - 1], weight[i] = weight[i - 1];
    expert[i] = which, weight[i] = value;
  }
};

}  // namespace embedpool::cuda
