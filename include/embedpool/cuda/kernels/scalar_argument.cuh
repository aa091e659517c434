#pragma once
#include "embedpool/cuda/grid/kernel.hpp"

namespace embedpool::cuda {

/// A number that the host knows at the launch, or one that lies in the device's memory and may change without it: what
/// an earlier kernel computed, or what a captured graph finds there each time.
struct ScalarArgument {
  float known = 0;
  const float* place = nullptr;  ///< read instead of `known` where there is one

  constexpr float value() const noexcept { return place ? *place : known; }
};

}  // namespace embedpool::cuda
