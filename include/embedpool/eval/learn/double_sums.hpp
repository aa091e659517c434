#pragma once
#include <cassert>
#include <cstring>
#include <span>

#include "embedpool/core/types.hpp"

namespace embedpool::detail {

/// Sums in double over values of S, eight chains side by side: the order of a sum depends on its length alone, the same on
/// every machine.
///
/// By the compilers' vectors and not by xsimd's, which have no conversion from one register of floats to two of doubles.
/// They go by reference: how wide ones are returned depends on the machine that is compiled for.
template <Real S>
class DoubleSums {
 public:
  static constexpr std::size_t chains = 8;
  using Doubles [[gnu::vector_size(chains * sizeof(double))]] = double;

  /// The sum over i of the terms that `add(sums, values of a, values of b)` adds for eight i at once.
  template <class Add>
  static double of(std::span<const S> a, std::span<const S> b, const Add& add) noexcept {
    assert(a.size() == b.size());
    Doubles sums = {}, x, y;
    std::size_t i = 0;
    for (; i + chains <= a.size(); i += chains) {
      load(&a[i], x);
      load(&b[i], y);
      add(sums, x, y);
    }
    if (i < a.size()) {
      S last_a[chains] = {}, last_b[chains] = {};
      std::memcpy(last_a, &a[i], (a.size() - i) * sizeof(S));
      std::memcpy(last_b, &b[i], (a.size() - i) * sizeof(S));
      load(last_a, x);
      load(last_b, y);
      add(sums, x, y);
    }
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
  }

 private:
  using Values [[gnu::vector_size(chains * sizeof(S))]] = S;
  [[gnu::always_inline]] static void load(const S* values, Doubles& loaded) noexcept {
    Values raw;
    std::memcpy(&raw, values, sizeof raw);
    loaded = __builtin_convertvector(raw, Doubles);
  }
};

/// sum over i of (a[i] - b[i])^2
inline double squared_distance(std::span<const float> a, std::span<const float> b) noexcept {
  return DoubleSums<float>::of(a, b, [](auto& sums, const auto& x, const auto& y) { sums += (x - y) * (x - y); });
}

/// sum over i of a[i]
template <Real S>
double sum_of(std::span<const S> a) noexcept {
  return DoubleSums<S>::of(a, a, [](auto& sums, const auto& x, const auto&) { sums += x; });
}

}  // namespace embedpool::detail
