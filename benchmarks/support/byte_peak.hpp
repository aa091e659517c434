#pragma once
#include <algorithm>

#include "embedpool/kernels/byte_registers.hpp"
#include "support/peak.hpp"

namespace embedpool::bench {

#ifdef EMBEDPOOL_BYTE_REGISTERS

/// `rounds` steps of byte products over registers alone, of independent sums and with no memory. Returns a value that
/// depends on all of them.
inline std::int32_t byte_product_rounds(Index rounds) noexcept {
  constexpr int accumulators = 12;
  simd::Bytes sums[accumulators];
  for (int i = 0; i < accumulators; ++i) sums[i] = simd::every_word(i);
  simd::Bytes x = simd::every_byte(3);
  const simd::Bytes y = simd::every_byte(5);
  for (Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < accumulators; ++i) {
#ifdef __AVX512F__
      asm volatile("" : "+v"(x));  // the factor is new in every step, so nothing is computed once for several
#else
      asm volatile("" : "+x"(x));
#endif
      sums[i] = simd::add_products(sums[i], x, y);
    }
  }
  for (int i = 1; i < accumulators; ++i) sums[0] = simd::add_words(sums[0], sums[i]);
  alignas(64) std::int32_t words[16];
  simd::store_bytes(words, sums[0]);
  return words[0];
}

/// Peak of products of bytes with the executor's workers, in operations a second, a multiplication and an addition
/// counting as one each: as peak_flops.
template <Executor E>
double peak_byte_products(E& executor, int runs = 25) {
  constexpr Index rounds = 1 << 18, products = static_cast<Index>(sizeof(simd::Bytes));
  const double operations = 2.0 * 12.0 * static_cast<double>(products * rounds * executor.workers());
  double best = 0.0;
  volatile std::int32_t sink = 0;
  for (int run = 0; run < runs; ++run)
    best = std::max(best, operations / seconds([&] {
                            executor.parallel_for(executor.workers(),
                                                  [&](Index, Index) { sink = byte_product_rounds(rounds); });
                          }));
  return best;
}

#else

/// Where there are no registers of bytes, the peak of floats.
template <Executor E>
double peak_byte_products(E& executor) {
  return peak_flops<float>(executor);
}

#endif

}  // namespace embedpool::bench
