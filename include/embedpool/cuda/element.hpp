#pragma once
#include <type_traits>

#include "embedpool/core/half.hpp"

namespace embedpool::cuda {

/// What kernels store: float, bf16 and f16. Arithmetic happens in float.
template <class T>
concept DeviceElement = Element<T> && !std::same_as<T, double>;

/// Exact. On a GPU one instruction.
template <DeviceElement T>
constexpr float widened(T x) noexcept {
#ifdef __CUDA_ARCH__
  if constexpr (std::same_as<T, f16>) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
    return result;
  }
#endif
  return to_real<float>(x);
}

/// Rounds to nearest, ties to even. On a GPU one instruction.
template <DeviceElement T>
constexpr T rounded(float x) noexcept {
#ifdef __CUDA_ARCH__
  if constexpr (std::same_as<T, bf16>) {
    T result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
  } else if constexpr (std::same_as<T, f16>) {
    T result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
  }
#endif
  if constexpr (std::same_as<T, bf16>)
    return to_bf16(x);
  else if constexpr (std::same_as<T, f16>)
    return to_f16(x);
  else
    return x;
}

}  // namespace embedpool::cuda
