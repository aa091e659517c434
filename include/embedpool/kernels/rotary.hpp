#pragma once
#include <cmath>
#include <span>
#include <vector>

#include "embedpool/kernels/norm.hpp"
#include "embedpool/kernels/rotary_style.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool {

/// cos and sin of position * inverse frequency for positions [0, positions), computed in double.
///
/// Shapes  cosine and sine [positions, d / 2]
template <Real S>
class RotaryTable {
 public:
  RotaryTable() = default;
  RotaryTable(std::span<const double> inverse_frequencies, Index positions)
      : pairs_(static_cast<Index>(inverse_frequencies.size())), positions_(positions) {
    cosine_.reserve(static_cast<std::size_t>(positions * pairs_));
    sine_.reserve(static_cast<std::size_t>(positions * pairs_));
    for (Index t = 0; t < positions; ++t)
      for (const double frequency : inverse_frequencies) {
        const double angle = static_cast<double>(t) * frequency;
        cosine_.push_back(static_cast<S>(std::cos(angle)));
        sine_.push_back(static_cast<S>(std::sin(angle)));
      }
  }
  Index positions() const noexcept { return positions_; }
  Index pairs() const noexcept { return pairs_; }
  const S* cosine(Index position) const noexcept { return cosine_.data() + position * pairs_; }
  const S* sine(Index position) const noexcept { return sine_.data() + position * pairs_; }

 private:
  std::vector<S> cosine_, sine_;
  Index pairs_ = 0;
  Index positions_ = 0;
};

namespace scalar {

/// The definition: turns every head of one row by its position: (a, b) -> (a cos - b sin, a sin + b cos) for each pair.
/// With sign -1 the turn goes back, which is also its gradient.
///
/// Shapes  x `heads` heads of d = 2 table.pairs() values; the pairs from `first` on are turned
template <Real S>
void rotate_row(S* x, Index heads, Index position, const RotaryTable<S>& table, RotaryStyle style, S sign = S(1),
                Index first = 0) noexcept {
  const Index pairs = table.pairs();
  const S *cosine = table.cosine(position), *sine = table.sine(position);
  const bool halves = style == RotaryStyle::halves;
  for (Index h = 0; h < heads; ++h, x += 2 * pairs)
    for (Index i = first; i < pairs; ++i) {
      S &left = x[halves ? i : 2 * i], &right = x[halves ? i + pairs : 2 * i + 1];
      const S a = left, b = right, s = sign * sine[i];
      left = a * cosine[i] - b * s;
      right = a * s + b * cosine[i];
    }
}

}  // namespace scalar

namespace simd {

/// A register of pairs turned: (a, b) -> (a cos - b sin, a sin + b cos).
template <class Register>
[[gnu::always_inline]] inline void turn(Register& a, Register& b, const Register& cosine,
                                        const Register& sine) noexcept {
  const Register left = a * cosine - b * sine;
  b = a * sine + b * cosine;
  a = left;
}

/// As scalar::rotate_row, a register of pairs at a time. Interleaved pairs are sorted into one register of first and
/// one of second values, turned, and interleaved again.
template <Real S>
void rotate_row(S* x, Index heads, Index position, const RotaryTable<S>& table, RotaryStyle style,
                S sign = S(1)) noexcept {
  using Short = ShortVector<S>;
  constexpr Index n = lanes<S>, m = 16 / sizeof(S);
  const Index pairs = table.pairs(), whole = style == RotaryStyle::halves ? pairs / n * n : pairs / m * m;
  const S *cosine = table.cosine(position), *sine = table.sine(position);
  for (Index h = 0; h < heads; ++h) {
    S* head = x + h * 2 * pairs;
    if (style == RotaryStyle::halves) {
      for (Index i = 0; i < whole; i += n) {
        Vector<S> a = Vector<S>::load_unaligned(head + i), b = Vector<S>::load_unaligned(head + i + pairs);
        turn(a, b, Vector<S>::load_unaligned(cosine + i), Vector<S>::load_unaligned(sine + i) * Vector<S>(sign));
        a.store_unaligned(head + i);
        b.store_unaligned(head + i + pairs);
      }
    } else {
      for (Index i = 0; i < whole; i += m) {
        const Short low = Short::load_unaligned(head + 2 * i), high = Short::load_unaligned(head + 2 * i + m);
        Short a = xsimd::zip_lo(low, high), b = xsimd::zip_hi(low, high);
        if constexpr (m == 4) {  // a0 a2 b0 b2, a1 a3 b1 b3: once more
          const Short even = a, odd = b;
          a = xsimd::zip_lo(even, odd);
          b = xsimd::zip_hi(even, odd);
        }
        turn(a, b, Short::load_unaligned(cosine + i), Short::load_unaligned(sine + i) * Short(sign));
        xsimd::zip_lo(a, b).store_unaligned(head + 2 * i);
        xsimd::zip_hi(a, b).store_unaligned(head + 2 * i + m);
      }
    }
  }
  if (whole < pairs) scalar::rotate_row(x, heads, position, table, style, sign, whole);
}

}  // namespace simd

using simd::rotate_row;

}  // namespace embedpool
