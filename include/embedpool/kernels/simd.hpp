#pragma once
#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "embedpool/core/types.hpp"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace embedpool::simd {

/// A register of reals of the architecture that the including program is compiled for.
template <Real S>
using Vector = xsimd::batch<S, xsimd::default_arch>;

template <Real S>
inline constexpr Index lanes = static_cast<Index>(Vector<S>::size);

/// Registers that hold vectors: how many accumulators a tile may keep.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int vector_registers = 32;
#else
inline constexpr int vector_registers = 16;
#endif

/// a * b + c, in one rounding where the machine has such an instruction.
///
/// xsimd 8 has none for AVX-512: its fma there is a product and a sum, which GCC joins and Clang does not.
template <Real S>
[[gnu::always_inline]] inline Vector<S> fma(const Vector<S>& a, const Vector<S>& b, const Vector<S>& c) noexcept {
#ifdef __AVX512F__
  if constexpr (std::is_same_v<S, float> && Vector<S>::size == 16)
    return _mm512_fmadd_ps(a, b, c);
  else if constexpr (Vector<S>::size == 8 && std::is_same_v<S, double>)
    return _mm512_fmadd_pd(a, b, c);
  else
#endif
    return xsimd::fma(a, b, c);
}

/// The sum of a register's values: reduce_add of xsimd from version 9 on, hadd before.
template <class Register>
[[gnu::always_inline]] inline auto sum_of_values(const Register& x) noexcept {
  if constexpr (requires { reduce_add(x); })
    return reduce_add(x);
  else
    return hadd(x);
}

/// x, or `bound` where x is less; a NaN stays. xsimd's max keeps a NaN of its second operand up to version 13, and of its
/// first from 14 on. For registers and single values.
template <class X>
[[gnu::always_inline]] inline X at_least(const X& bound, const X& x) noexcept {
  if constexpr (std::is_floating_point_v<X>)
    return x < bound ? bound : x;
  else
    return xsimd::select(x < bound, bound, x);
}

}  // namespace embedpool::simd
