#pragma once
#include <algorithm>
#include <chrono>

#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/simd.hpp"

namespace embedpool::bench {

/// Seconds that `work` takes.
template <class Work>
double seconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Multiply-adds of one chain of `rounds` steps over registers alone, as fast as the machine can: enough independent
/// accumulators to hide the latency, no memory. Returns a value that depends on all of them.
template <Real S>
S multiply_add_rounds(Index rounds) noexcept {
  constexpr int accumulators = 12;
  simd::Vector<S> sums[accumulators];
  for (int i = 0; i < accumulators; ++i) sums[i] = simd::Vector<S>(static_cast<S>(i));
  simd::Vector<S> x(S(0.999)), y(S(0.001));
  for (Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < accumulators; ++i) sums[i] = simd::fma<S>(sums[i], x, y);
#if defined(__x86_64__)
    asm volatile("" : "+v"(x.data));  // the factor is new in every round, so nothing is computed ahead
#endif
  }
  for (int i = 1; i < accumulators; ++i) sums[0] += sums[i];
  return xsimd::hadd(sums[0]);
}

/// Peak of real arithmetic with the executor's workers, in operations a second: the best of several short runs, each
/// short enough to fall between two interruptions.
template <Real S, Executor E>
double peak_flops(E& executor, int runs = 25) {
  constexpr Index rounds = 1 << 18;
  const double operations = 2.0 * 12.0 * static_cast<double>(simd::lanes<S> * rounds * executor.workers());
  double best = 0.0;
  volatile S sink = 0;
  for (int run = 0; run < runs; ++run)
    best = std::max(best, operations / seconds([&] {
                            executor.parallel_for(executor.workers(),
                                                  [&](Index, Index) { sink = multiply_add_rounds<S>(rounds); });
                          }));
  return best;
}

}  // namespace embedpool::bench
