#pragma once
#include <bit>
#include <cstdint>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// bfloat16 as storage: the upper half of a float. Arithmetic happens in float.
struct bf16 {
  std::uint16_t bits;
};

/// IEEE 754 binary16 as storage: 1 sign, 5 exponent, 10 mantissa bits. Arithmetic happens in float.
struct f16 {
  std::uint16_t bits;
};

/// An element type of somebody's hidden states: a real, or a storage format that widens to float exactly.
template <class T>
concept Element = Real<T> || std::same_as<T, bf16> || std::same_as<T, f16>;

/// Exact.
constexpr float to_float(bf16 x) noexcept { return std::bit_cast<float>(std::uint32_t(x.bits) << 16); }

/// Exact, subnormals, infinities and NaN included.
constexpr float to_float(f16 x) noexcept {
  const std::uint32_t sign = std::uint32_t(x.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = x.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
  const float subnormal = float(magnitude) * 0x1p-24f;
  return sign != 0 ? -subnormal : subnormal;
}

/// Rounds to nearest, ties to even; NaN stays NaN.
constexpr bf16 to_bf16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bf16{static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return bf16{static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

/// Rounds to nearest, ties to even; overflows to infinity; NaN stays NaN.
constexpr f16 to_f16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return f16{static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x47800000u) return f16{static_cast<std::uint16_t>(sign | 0x7c00u)};  // 65536 and above
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 lets the float unit round at the subnormal's last place
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return f16{static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3f000000u))};
  }
  const std::uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
  return f16{static_cast<std::uint16_t>(sign | (rounded >> 13))};
}

/// Any element as the real `S`; exact when S is at least as wide.
template <Real S, Element T>
constexpr S to_real(T x) noexcept {
  if constexpr (Real<T>)
    return static_cast<S>(x);
  else
    return static_cast<S>(to_float(x));
}

}  // namespace embedpool
