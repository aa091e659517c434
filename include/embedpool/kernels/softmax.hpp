#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "embedpool/kernels/simd.hpp"

namespace embedpool {

namespace scalar {
/// x_i = exp(x_i - max) / sum over j of exp(x_j - max), in place. An empty span stays empty.
template <Real S>
void softmax(std::span<S> x) noexcept {
  if (x.empty()) return;
  const S largest = *std::max_element(x.begin(), x.end());
  S sum = 0;
  for (S& value : x) sum += value = std::exp(value - largest);
  for (S& value : x) value /= sum;
}
}  // namespace scalar

namespace simd {
/// As scalar::softmax. The last values that fill no register go through one filled up with -infinity, whose exponential
/// is 0, so that every value is computed by the same instructions.
template <Real S>
void softmax(std::span<S> x) noexcept {
  if (x.empty()) return;
  constexpr auto n = static_cast<std::size_t>(lanes<S>);
  const std::size_t whole = x.size() / n * n, rest = x.size() - whole;
  alignas(64) S tail[n];
  std::fill(std::copy(x.begin() + static_cast<Index>(whole), x.end(), tail), tail + n,
            -std::numeric_limits<S>::infinity());

  Vector<S> largest = Vector<S>::load_aligned(tail);
  for (std::size_t i = 0; i < whole; i += n) largest = xsimd::max(largest, Vector<S>::load_unaligned(&x[i]));
  alignas(64) S candidates[n];
  largest.store_aligned(candidates);
  const Vector<S> top(*std::max_element(candidates, candidates + n));
  // Exponentials of less than -1000 are 0 in either type. The bound keeps infinity from xsimd, which converts exponents to
  // integers; a NaN passes.
  const Vector<S> least(S(-1000));
  const auto exponential = [&](const Vector<S>& value) { return xsimd::exp(at_least(least, value - top)); };

  Vector<S> sum(S(0));
  for (std::size_t i = 0; i < whole; i += n) {
    const Vector<S> e = exponential(Vector<S>::load_unaligned(&x[i]));
    e.store_unaligned(&x[i]);
    sum += e;
  }
  const Vector<S> last = exponential(Vector<S>::load_aligned(tail));
  sum += last;
  const Vector<S> scale(S(1) / simd::sum_of_values(sum));
  for (std::size_t i = 0; i < whole; i += n) (Vector<S>::load_unaligned(&x[i]) * scale).store_unaligned(&x[i]);
  (last * scale).store_aligned(tail);
  std::copy(tail, tail + rest, x.begin() + static_cast<Index>(whole));
}
}  // namespace simd

}  // namespace embedpool
