#pragma once
#include <bit>

#include "embedpool/core/half.hpp"
#include "embedpool/kernels/operand.hpp"

namespace embedpool {

namespace simd {

/// Two neighbours along k of a row, rounded to bfloat16: what a bfloat16 product takes at once. Where a row has an odd
/// number of values, the last pair's second one is 0.
struct alignas(4) Bfloat16Pair {
  bf16 even, odd;
};

/// Pairs are summed in float, the second product first, which is how Intel defines vdpbf16ps:
///
///   sum <- (sum + x.odd w.odd) + x.even w.even
///
/// A product of two bfloat16 is exact in float, so each of the two steps rounds once, fused or not, and machines agree
/// to the bit but at the ends of the range: vdpbf16ps reads subnormal values and writes subnormal sums as 0, the plain
/// version does not; and a product too large for a float is infinite where the machine has no fused multiply-add.
template <>
struct OperandTraits<Bfloat16Pair> {
  using Sum = float;
  static constexpr Index values = 2;

#ifdef __AVX512BF16__
  using Register = __m512i;

  [[gnu::always_inline]] static Register load(const Bfloat16Pair* from) noexcept { return _mm512_load_si512(from); }
  [[gnu::always_inline]] static Register broadcast(Bfloat16Pair value) noexcept {
    return _mm512_set1_epi32(std::bit_cast<int>(value));
  }
  [[gnu::always_inline]] static Vector<float> multiply_add(const Register& x, const Register& w,
                                                           const Vector<float>& sum) noexcept {
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
  }
#else
  using Register = xsimd::batch<std::uint32_t, xsimd::default_arch>;

  [[gnu::always_inline]] static Register load(const Bfloat16Pair* from) noexcept {
    return Register::load_aligned(reinterpret_cast<const std::uint32_t*>(from));
  }
  [[gnu::always_inline]] static Register broadcast(Bfloat16Pair value) noexcept {
    return Register(std::bit_cast<std::uint32_t>(value));
  }
  [[gnu::always_inline]] static Vector<float> multiply_add(const Register& x, const Register& w,
                                                           const Vector<float>& sum) noexcept {
    return fma<float>(even(x), even(w), fma<float>(odd(x), odd(w), sum));
  }

 private:
  /// A bfloat16 is the upper half of the float of the same value.
  [[gnu::always_inline]] static Vector<float> even(const Register& pairs) noexcept {
    return std::bit_cast<Vector<float>>(pairs << 16);
  }
  [[gnu::always_inline]] static Vector<float> odd(const Register& pairs) noexcept {
    return std::bit_cast<Vector<float>>(pairs & Register(0xffff0000u));
  }
#endif
};
static_assert(std::endian::native == std::endian::little, "the even value of a pair is the lower half of its word");

}  // namespace simd

using simd::Bfloat16Pair;

}  // namespace embedpool
