#pragma once
#include <algorithm>
#include <chrono>

#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/operand.hpp"

namespace embedpool::bench {

/// Seconds that `work` takes.
template <class Work>
double seconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Makes the compiler believe that a register was changed.
template <class Register>
void renew([[maybe_unused]] Register& x) noexcept {
#if defined(__x86_64__)
  if constexpr (requires { x.data; })
    asm volatile("" : "+v"(x.data));
  else
    asm volatile("" : "+v"(x));
#endif
}

/// Multiply-adds of `rounds` steps over registers alone, as fast as the machine can: enough independent accumulators to
/// hide the latency, no memory. Returns a value that depends on all of them.
template <simd::Operand T>
simd::SumOf<T> multiply_add_rounds(T factor, Index rounds) noexcept {
  using S = simd::SumOf<T>;
  constexpr int accumulators = 12;
  simd::Vector<S> sums[accumulators];
  for (int i = 0; i < accumulators; ++i) sums[i] = simd::Vector<S>(static_cast<S>(i));
  auto x = simd::OperandTraits<T>::broadcast(factor), y = x;
  for (Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < accumulators; ++i) sums[i] = simd::OperandTraits<T>::multiply_add(x, y, sums[i]);
    renew(x);  // the factor is new in every round, so nothing is computed ahead
  }
  for (int i = 1; i < accumulators; ++i) sums[0] += sums[i];
  return simd::sum_of_values(sums[0]);
}

/// Peak of arithmetic on T with the executor's workers, in operations a second: the best of several short runs, each
/// short enough to fall between two interruptions.
template <simd::Operand T, Executor E>
double peak_flops(E& executor, T factor = T(0.999f), int runs = 25) {
  using S = simd::SumOf<T>;
  constexpr Index rounds = 1 << 18;
  const double operations =
      2.0 * 12.0 * static_cast<double>(simd::OperandTraits<T>::values * simd::lanes<S> * rounds * executor.workers());
  double best = 0.0;
  volatile S sink = 0;
  for (int run = 0; run < runs; ++run)
    best = std::max(best, operations / seconds([&] {
                            executor.parallel_for(executor.workers(),
                                                  [&](Index, Index) { sink = multiply_add_rounds<T>(factor, rounds); });
                          }));
  return best;
}

}  // namespace embedpool::bench
