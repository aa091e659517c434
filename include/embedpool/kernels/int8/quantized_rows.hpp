#pragma once
#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/int8/integer_block.hpp"
#include "embedpool/kernels/simd.hpp"

namespace embedpool {

namespace int8 {

/// What belongs to 32 quantised activations a[i] = scale q[i]: beside the scale the sums that multiply what the weights
/// are shifted by.
struct ActivationBlock {
  float scale;
  float scaled_sum;  ///< scale * sum
  std::int32_t sum;  ///< of the integers
};

/// Below this a block counts as zeros: 127 / max must be finite.
inline constexpr float least_maximum = 2e-36f;

/// The factors of a block of which the largest |a| has the bits `maximum`. They are NaN where a value is not finite, so
/// that every product with the row is, and never looks like a result.
inline ActivationBlock activation_block(std::uint32_t maximum, std::int32_t sum) noexcept {
  if (maximum >= 0x7f800000u) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    return {nan, nan, 0};
  }
  const float largest = std::bit_cast<float>(maximum);
  const float scale = largest < least_maximum ? 0.0f : largest / 127.0f;
  return {scale, scale * static_cast<float>(sum), sum};
}
/// What the values are multiplied by before they are rounded: 0 where the block counts as zeros or is not finite.
inline float inverse_scale(std::uint32_t maximum) noexcept {
  const float largest = std::bit_cast<float>(maximum);
  return maximum >= 0x7f800000u || largest < least_maximum ? 0.0f : 127.0f / largest;
}

}  // namespace int8

namespace scalar {

/// The definition: scale = max |a| / 127, q[i] = a[i] 127 / max |a| rounded to the nearest integer, halves to even.
inline int8::ActivationBlock quantize_block(const float* a, std::int8_t* q) noexcept {
  std::uint32_t maximum = 0;  // of the bits without sign: they order as the values do, and NaN above all
  for (Index i = 0; i < int8::block_values; ++i)
    maximum = std::max(maximum, std::bit_cast<std::uint32_t>(a[i]) & 0x7fffffffu);
  const float inverse = int8::inverse_scale(maximum);
  std::int32_t sum = 0;
  for (Index i = 0; i < int8::block_values; ++i) {
    q[i] = inverse == 0.0f ? std::int8_t(0) : static_cast<std::int8_t>(std::nearbyint(a[i] * inverse));
    sum += q[i];
  }
  return int8::activation_block(maximum, sum);
}

}  // namespace scalar

namespace simd {

/// As scalar::quantize_block, to the bit.
inline int8::ActivationBlock quantize_block(const float* a, std::int8_t* q) noexcept {
#if defined(__AVX512F__)
  const __m512 low = _mm512_loadu_ps(a), high = _mm512_loadu_ps(a + 16);
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  const std::uint32_t maximum = static_cast<std::uint32_t>(_mm512_reduce_max_epu32(_mm512_max_epu32(
      _mm512_and_si512(_mm512_castps_si512(low), magnitude), _mm512_and_si512(_mm512_castps_si512(high), magnitude))));
  const float inverse = int8::inverse_scale(maximum);
  if (inverse == 0.0f) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm256_setzero_si256());
    return int8::activation_block(maximum, 0);
  }
  const __m512i first = _mm512_cvtps_epi32(_mm512_mul_ps(low, _mm512_set1_ps(inverse)));
  const __m512i second = _mm512_cvtps_epi32(_mm512_mul_ps(high, _mm512_set1_ps(inverse)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(first));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), _mm512_cvtepi32_epi8(second));
  return int8::activation_block(maximum, _mm512_reduce_add_epi32(_mm512_add_epi32(first, second)));
#elif defined(__AVX2__)
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i)
    largest = _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(a + 8 * i)), magnitude));
  __m128i most = _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  most = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0xb1));
  const auto maximum = static_cast<std::uint32_t>(_mm_cvtsi128_si32(most));
  const float inverse = int8::inverse_scale(maximum);
  if (inverse == 0.0f) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm256_setzero_si256());
    return int8::activation_block(maximum, 0);
  }
  __m256i integers[4];
  for (int i = 0; i < 4; ++i)
    integers[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(a + 8 * i), _mm256_set1_ps(inverse)));
  // Packing works in each half of a register: the four-byte groups come out as 0 4 1 5 2 6 3 7.
  const __m256i bytes =
      _mm256_packs_epi16(_mm256_packs_epi32(integers[0], integers[1]), _mm256_packs_epi32(integers[2], integers[3]));
  const __m256i ordered = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), ordered);
  const __m256i sums =
      _mm256_add_epi32(_mm256_add_epi32(integers[0], integers[1]), _mm256_add_epi32(integers[2], integers[3]));
  __m128i total = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  total = _mm_add_epi32(total, _mm_shuffle_epi32(total, 0x4e));
  total = _mm_add_epi32(total, _mm_shuffle_epi32(total, 0xb1));
  return int8::activation_block(maximum, _mm_cvtsi128_si32(total));
#else
  return scalar::quantize_block(a, q);
#endif
}

}  // namespace simd

/// Rows of activations as 8-bit integers, each block of 32 values of a row with a scale of its own: a = scale q,
/// |q| <= 127. Made once, they serve all products that read the same input.
///
/// A block with a value that is not finite has the scale NaN; one whose values are all below 2e-36 counts as zeros.
class QuantizedRows {
 public:
  QuantizedRows() = default;
  template <Executor E>
  QuantizedRows(Rows<const float> a, E& executor) {
    assign(a, executor);
  }
  /// Quantises `a` into the memory of the rows that were here before, which grows as needed.
  ///
  /// Requires  a.cols is a multiple of 32
  template <Executor E>
  void assign(Rows<const float> a, E& executor) {
    assert(a.cols % int8::block_values == 0);
    rows_ = a.rows, cols_ = a.cols;
    values_.reserve(rows_ * cols_);
    blocks_.reserve(rows_ * (cols_ / int8::block_values));
    constexpr Index job_rows = 16;
    executor.parallel_for((rows_ + job_rows - 1) / job_rows, [&](Index job, Index) {
      for (Index i = job * job_rows; i < std::min(rows_, (job + 1) * job_rows); ++i)
        for (Index b = 0; b < cols_ / int8::block_values; ++b)
          blocks_.data()[i * (cols_ / int8::block_values) + b] = simd::quantize_block(
              a.row_data(i) + b * int8::block_values, values_.data() + i * cols_ + b * int8::block_values);
    });
  }
  Index rows() const noexcept { return rows_; }
  Index cols() const noexcept { return cols_; }
  Rows<const std::int8_t> values() const noexcept { return {values_.data(), rows_, cols_}; }
  Rows<const int8::ActivationBlock> blocks() const noexcept {
    return {blocks_.data(), rows_, cols_ / int8::block_values};
  }

 private:
  AlignedBuffer<std::int8_t> values_;
  AlignedBuffer<int8::ActivationBlock> blocks_;
  Index rows_ = 0;
  Index cols_ = 0;
};

/// The rows of `a` quantised. Requires a.cols is a multiple of 32.
template <Executor E>
QuantizedRows quantize_rows(Rows<const float> a, E& executor) {
  return QuantizedRows(a, executor);
}

}  // namespace embedpool
