#pragma once
#include <random>

#include "embedpool/core/aligned_buffer.hpp"

namespace embedpool::bench {

/// `count` normal values from a seed.
inline AlignedBuffer<float> random_buffer(Index count, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  AlignedBuffer<float> buffer(count);
  for (Index i = 0; i < count; ++i) buffer.data()[i] = normal(generator);
  return buffer;
}

}  // namespace embedpool::bench
