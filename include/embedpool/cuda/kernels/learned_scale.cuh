#pragma once
#include <cmath>

#include "embedpool/cuda/grid/kernel.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// The scale that a logarithm t in the device's memory stands for: scale = min(largest, exp(t)). One thread works.
///
/// Oracle  embedpool::LearnedScale
struct ScaleOfLogarithm {
  static constexpr int threads = warp_size;
  const float* logarithm;
  float largest;
  float* scale;

  LaunchShape launch_shape() const noexcept { return {1, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    if (thread.index() != 0) return;
    const float learned = std::exp(*logarithm);
    *scale = learned > largest ? largest : learned;
  }
};

/// dt += scale dscale, and nothing where the limit holds the scale down.
struct ScaleOfLogarithmBackward {
  static constexpr int threads = warp_size;
  const float* logarithm;
  float largest;
  const float* dscale;
  float* dlogarithm;

  LaunchShape launch_shape() const noexcept { return {1, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    if (thread.index() != 0) return;
    const float learned = std::exp(*logarithm);
    if (learned <= largest) *dlogarithm += learned * *dscale;
  }
};

}  // namespace embedpool::cuda
