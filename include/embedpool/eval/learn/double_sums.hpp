#pragma once
#include <cassert>
#include <cstring>
#include <span>

#include "embedpool/core/types.hpp"

namespace embedpool::detail {

/// Sums in double over values of S, eight chains side by side: the order of a sum depends on its length alone, the same on
/// every machine.
///
/// By the compilers' vectors and not by xsimd's, which have no conversion from one register of floats to two of doubles. A
/// vector is a register of the machine and no more: wider ones GCC takes apart in memory, at ten times the time.
template <Real S>
class DoubleSums {
 public:
  static constexpr std::size_t chains = 8;
#ifdef __AVX__
  static constexpr std::size_t lanes = 4;
#else
  static constexpr std::size_t lanes = 2;
#endif
  using Doubles [[gnu::vector_size(lanes * sizeof(double))]] = double;

  /// The sum over i of the terms that `add(sums, values of a, values of b)` adds for each lane. Vectors go by reference: how
  /// they are returned depends on the machine that is compiled for.
  template <class Add>
  static double of(std::span<const S> a, std::span<const S> b, const Add& add) noexcept {
    assert(a.size() == b.size());
    Doubles sums[chains / lanes] = {};
    std::size_t i = 0;
    for (; i + chains <= a.size(); i += chains) add_chains(sums, &a[i], &b[i], add);
    if (i < a.size()) {
      S last_a[chains] = {}, last_b[chains] = {};
      std::memcpy(last_a, &a[i], (a.size() - i) * sizeof(S));
      std::memcpy(last_b, &b[i], (a.size() - i) * sizeof(S));
      add_chains(sums, last_a, last_b, add);
    }
    double s[chains];
    std::memcpy(s, sums, sizeof s);
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
  }

 private:
  using Values [[gnu::vector_size(lanes * sizeof(S))]] = S;

  template <class Add>
  [[gnu::always_inline]] static void add_chains(Doubles* sums, const S* a, const S* b, const Add& add) noexcept {
    for (std::size_t v = 0; v < chains / lanes; ++v) {
      Doubles x, y;
      load(a + v * lanes, x);
      load(b + v * lanes, y);
      add(sums[v], x, y);
    }
  }
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
