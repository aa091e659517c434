#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>

#if defined(__FAST_MATH__)
#error "embedpool: -ffast-math (and -Ofast) takes away what it promises: NaN is seen, sums have one order. Compile without it."
#endif

namespace embedpool {

/// Signed, as wide as a pointer, equal to Eigen::Index: every size, offset and position.
using Index = std::ptrdiff_t;

/// Token id as tokenizers and model files number it.
using TokenId = std::int32_t;

/// The scalars that the mathematics runs in: `float` for work, `double` for gradient checks.
template <class S>
concept Real = std::same_as<S, float> || std::same_as<S, double>;

}  // namespace embedpool
