#pragma once
#include <cmath>

#include "embedpool/cuda/grid/kernel.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// The scale that a logarithm t in the device's memory stands for: scale = exp(t), after a t above log(largest) has been
/// put back to that. One thread works.
///
/// Oracle  embedpool::LearnedScale
struct ScaleOfLogarithm {
  static constexpr int threads = warp_size;
  float* logarithm;
  float largest;
  float* scale;

  LaunchShape launch_shape() const noexcept { return {1, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    if (thread.index() != 0) return;
    const float learned = std::exp(*logarithm);
    *scale = learned > largest ? largest : learned;
    if (learned > largest) *logarithm = std::log(largest);
  }
};

/// dt += scale dscale.
struct ScaleOfLogarithmBackward {
  static constexpr int threads = warp_size;
  const float* scale;
  const float* dscale;
  float* dlogarithm;

  LaunchShape launch_shape() const noexcept { return {1, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    if (thread.index() == 0) *dlogarithm += *scale * *dscale;
  }
};

}  // namespace embedpool::cuda
