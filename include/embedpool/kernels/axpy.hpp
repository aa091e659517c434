#pragma once
#include <span>

#include "embedpool/kernels/simd.hpp"

namespace embedpool {

namespace scalar {
/// y[i] += a x[i]
template <Real S>
void axpy(S a, std::span<const S> x, S* y) noexcept {
  for (std::size_t i = 0; i < x.size(); ++i) y[i] += a * x[i];
}
}  // namespace scalar

namespace simd {
/// As scalar::axpy; each element has one multiply-add whatever the length, rounded once where the machine can: the last
/// elements go through a register of their own.
template <Real S>
void axpy(S a, std::span<const S> x, S* y) noexcept {
  constexpr auto n = static_cast<std::size_t>(lanes<S>);
  const Vector<S> factor(a);
  std::size_t i = 0;
  for (; i + n <= x.size(); i += n)
    fma<S>(factor, Vector<S>::load_unaligned(&x[i]), Vector<S>::load_unaligned(y + i)).store_unaligned(y + i);
  if (i == x.size()) return;
  alignas(64) S last_x[n] = {}, last_y[n] = {};
  for (std::size_t j = i; j < x.size(); ++j) last_x[j - i] = x[j], last_y[j - i] = y[j];
  fma<S>(factor, Vector<S>::load_aligned(last_x), Vector<S>::load_aligned(last_y)).store_aligned(last_y);
  for (std::size_t j = i; j < x.size(); ++j) y[j] = last_y[j - i];
}
}  // namespace simd

}  // namespace embedpool
