#pragma once
#include <cstring>

#include "embedpool/core/aligned_buffer.hpp"
#include "support/peak.hpp"

namespace embedpool::bench {

/// Bytes a second, read and written ones counted, of one thread that copies `count` floats within as many others: the
/// best of several runs. Small counts measure a cache, as the work beside it does.
inline double copy_rate(Index count, int runs = 200) {
  AlignedBuffer<float> from(count), to(count);
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  std::memset(from.data(), 0, bytes);
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    best =
        std::max(best, 2.0 * static_cast<double>(bytes) / seconds([&] { std::memcpy(to.data(), from.data(), bytes); }));
    asm volatile("" : : "r"(to.data()) : "memory");  // the copy counts as read
  }
  return best;
}

/// Bytes a second of one thread that adds up `count` floats in registers: the best of several runs.
inline double read_rate(Index count, int runs = 200) {
  using Vector = simd::Vector<float>;
  constexpr Index accumulators = 8, step = accumulators * simd::lanes<float>;
  count = count / step * step;
  AlignedBuffer<float> from(count);
  std::memset(from.data(), 0, static_cast<std::size_t>(count) * sizeof(float));
  double best = 0;
  volatile float sink = 0;
  for (int run = 0; run < runs; ++run)
    best = std::max(best, static_cast<double>(count) * sizeof(float) / seconds([&] {
                            Vector sums[accumulators];
                            for (Vector& sum : sums) sum = Vector(0.0f);
                            for (Index i = 0; i < count; i += step)
#pragma GCC unroll 8
                              for (Index v = 0; v < accumulators; ++v)
                                sums[v] += Vector::load_aligned(from.data() + i + v * simd::lanes<float>);
                            for (Index v = 1; v < accumulators; ++v) sums[0] += sums[v];
                            sink = simd::sum_of_values(sums[0]);
                          }));
  return best;
}

}  // namespace embedpool::bench
