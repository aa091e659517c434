#pragma once
#include <span>

#include "embedpool/kernels/simd.hpp"

namespace embedpool {

namespace scalar {
/// sum over i of a[i] b[i]
template <Real S>
S dot(std::span<const S> a, std::span<const S> b) noexcept {
  S sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
}  // namespace scalar

namespace simd {
/// Inner product of rows of any alignment; the order of the sum depends on the length alone.
template <Real S>
S dot(std::span<const S> a, std::span<const S> b) noexcept {
  constexpr auto n = static_cast<std::size_t>(lanes<S>);
  const std::size_t whole = a.size() / n * n;
  Vector<S> sum(S(0));
  for (std::size_t i = 0; i < whole; i += n)
    sum = fma<S>(Vector<S>::load_unaligned(&a[i]), Vector<S>::load_unaligned(&b[i]), sum);
  return simd::sum_of_values(sum) + scalar::dot(a.subspan(whole), b.subspan(whole));
}
}  // namespace simd

}  // namespace embedpool
