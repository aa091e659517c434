#pragma once
#include <algorithm>

#include "embedpool/kernels/byte_registers.hpp"
#include "embedpool/kernels/weight.hpp"

#ifdef EMBEDPOOL_BYTE_REGISTERS

namespace embedpool::simd {

/// The formats of blocks of 32 values in 4 bits that pack_nibbles reads.
constexpr bool is_nibbles(Format format) noexcept { return format == Format::Q4_0 || format == Format::Q4_1; }

/// The four bits from bit `shift` on of every word, as reals.
template <int shift>
[[gnu::always_inline]] inline Vector<float> nibbles(Bytes words) noexcept {
#ifdef __AVX512BW__
  // A permutation looks at the lowest four bits of its indices alone.
  const __m512 reals = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_permutexvar_ps(_mm512_srli_epi32(words, shift), reals);
#else
  return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(words, shift), _mm256_set1_epi32(15)));
#endif
}

/// Decodes `depth` values of lanes<float> rows of W, from row `first` on, k-major: out[k * stride + i] = value k of row
/// first + i; rows beyond the last give zeros. A register holds the same four bytes of all rows, so that a value of all
/// rows is a shift away and nothing has to be transposed byte by byte.
///
/// `place` is where value 0 lies in a row, in bytes. scale * q is exact in a float, so the value is the definition's to
/// the bit whether the sum is fused or not (Q4_0: q d - 8 d is exact too).
///
/// Requires  is_nibbles(w.format); depth is a multiple of 32; out + k * stride is aligned for a register
inline void pack_nibbles(const WeightView& w, Index first, Index place, Index depth, float* out,
                         Index stride) noexcept {
  const Index block_bytes = info(w.format).block_bytes;
  const bool has_minimum = w.format == Format::Q4_1;
  const std::byte* rows[lanes<float>];
  alignas(64) float exists[lanes<float>];
  for (Index i = 0; i < lanes<float>; ++i) {
    exists[i] = first + i < w.rows ? 1.0f : 0.0f;
    rows[i] = w.row(std::min(first + i, w.rows - 1));
  }
  const auto mask = Vector<float>::load_aligned(exists);
  // The next rows are asked for while these are decoded: sixteen short streams are too many for the machine to foresee,
  // and without that a product of few rows waits for memory for half of its time.
  const std::byte* ahead = rows[0] + lanes<float> * w.row_bytes();
  const Index blocks = depth / 32, step = (lanes<float> * w.row_bytes() / blocks + 63) / 64 * 64;
  for (Index block = 0; block < blocks; ++block, place += block_bytes) {
    for (Index byte = 0; byte < step; byte += 64) __builtin_prefetch(ahead + byte);
    ahead += step;
    Bytes head[4], q[4];
    transpose_words([&](int i) { return formats::load_16_bytes(rows[i] + place); }, head);
    transpose_words([&](int i) { return formats::load_16_bytes(rows[i] + place + (has_minimum ? 4 : 2)); }, q);
    const Vector<float> scale = low_halves(head[0]) * mask;
    const Vector<float> offset =
        has_minimum ? low_halves(shift_down_half(head[0])) * mask : scale * Vector<float>(-8.0f);
    const auto store = [&](const Vector<float>& value) {
      fma<float>(value, scale, offset).store_aligned(out);
      out += stride;
    };
    for (const Bytes word : q) {  // the low nibbles are the first sixteen values ...
      store(nibbles<0>(word));
      store(nibbles<8>(word));
      store(nibbles<16>(word));
      store(nibbles<24>(word));
    }
    for (const Bytes word : q) {  // ... and the high ones the rest
      store(nibbles<4>(word));
      store(nibbles<12>(word));
      store(nibbles<20>(word));
      store(nibbles<28>(word));
    }
  }
}

}  // namespace embedpool::simd
#endif
