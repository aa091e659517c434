#pragma once
#include "embedpool/kernels/int8/int8_record.hpp"
#include "embedpool/kernels/int8/quantized_rows.hpp"

namespace embedpool::simd {

/// Makes the compiler forget what it knows of a pointer's target. GCC moves loads out of branches and loops, and what
/// it holds in registers that way the accumulators then lack.
template <class T>
[[gnu::always_inline]] inline T* forgotten(T* p) noexcept {
#ifdef __GNUC__
  asm volatile("" : "+r"(p));
#endif
  return p;
}

#ifdef EMBEDPOOL_BYTE_REGISTERS

/// sums[r][v] += the products of words [begin, end) of a block.
template <int begin, int end, int R, int V>
[[gnu::always_inline]] inline void add_steps(const std::int8_t* q, Index stride, const std::byte* bytes,
                                             Bytes (&sums)[R][V]) noexcept {
  constexpr Index pitch = Int8Record::width * 4;
#pragma GCC unroll 8
  for (int j = begin; j < end; ++j) {
    Bytes w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = load_bytes(bytes + j * pitch + v * Index(sizeof(Bytes)));
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Bytes x = broadcast_word(q + r * stride + 4 * j);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = add_products(sums[r][v], w[v], x);
    }
  }
}

/// As add_steps where sums of products have 16 bits: dots[r][v] = before(r, v) + factor times the sums.
template <int begin, int end, int factor, int R, int V, class Before>
[[gnu::always_inline]] inline void add_short_steps(const std::int8_t* q, Index stride, const std::byte* bytes,
                                                   const Before& before, Bytes (&dots)[R][V]) noexcept {
  Bytes sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = every_word(0);
  add_steps<begin, end>(forgotten(q), stride, forgotten(bytes), sums);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) dots[r][v] = add_words(before(r, v), widen_sums(sums[r][v], factor));
}

/// The integers of a block of 32 k where instructions multiply bytes:
///
///   dots[r][v] = sum over k of q_a[r][k] q_w[k][v]
///
/// Shapes  q, factors of R rows; bytes as Int8Record has them, `kind` says which integers
template <int R, int V>
[[gnu::always_inline]] inline void byte_dots(const std::int8_t* q, Index stride, const int8::ActivationBlock* factors,
                                             Index factor_stride, const std::byte* bytes,
                                             const int8::IntegerFormat& kind, Bytes (&dots)[R][V]) noexcept {
  // The panel holds q_w + zero, so that the sum of the activations times zero is too much.
  const auto start = [&](int r) { return every_word(-kind.zero * factors[r * factor_stride].sum); };
  if constexpr (has_byte_dots) {
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Bytes first = start(r);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) dots[r][v] = first;
    }
    add_steps<0, 8>(q, stride, bytes, dots);
  } else {
    const auto first = [&](int r, int) { return start(r); };
    const auto so_far = [&](int r, int v) { return dots[r][v]; };
    if (kind.bits == 5) {  // 16 bits hold 4 pairs of at most 2 * 31 * 127
      add_short_steps<0, 4, 1>(q, stride, bytes, first, dots);
      add_short_steps<4, 8, 1>(q, stride, bytes, so_far, dots);
    } else {  // or 8 pairs of at most 2 * 15 * 127
      add_short_steps<0, 8, 1>(q, stride, bytes, first, dots);
      if (kind.bits > 5) add_short_steps<0, 8, 16>(q, stride, bytes + Int8Record::plane_bytes(), so_far, dots);
    }
  }
}

#endif

}  // namespace embedpool::simd
