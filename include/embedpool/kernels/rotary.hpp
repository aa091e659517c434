#pragma once
#include <cmath>
#include <span>
#include <vector>

#include "embedpool/core/segments.hpp"
#include "embedpool/kernels/norm.hpp"

namespace embedpool {

/// Which two values of a head turn together: (i, i + d/2), as Hugging Face checkpoints are stored, or (2 i, 2 i + 1), as
/// the permuted q and k rows of Llama-family GGUF files want it.
enum class RotaryStyle { halves, interleaved };

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

/// Turns every head of one row by its position: (a, b) -> (a cos - b sin, a sin + b cos) for each pair. With sign -1 the
/// turn goes back, which is also its gradient.
///
/// Shapes  x `heads` heads of d = 2 table.pairs() values
template <Real S>
void rotate_row(S* x, Index heads, Index position, const RotaryTable<S>& table, RotaryStyle style, S sign = S(1)) noexcept {
  const Index pairs = table.pairs();
  const S *cosine = table.cosine(position), *sine = table.sine(position);
  for (Index h = 0; h < heads; ++h, x += 2 * pairs) {
    if (style == RotaryStyle::halves) {
      for (Index i = 0; i < pairs; ++i) {
        const S a = x[i], b = x[i + pairs], s = sign * sine[i];
        x[i] = a * cosine[i] - b * s;
        x[i + pairs] = a * s + b * cosine[i];
      }
    } else {
      for (Index i = 0; i < pairs; ++i) {
        const S a = x[2 * i], b = x[2 * i + 1], s = sign * sine[i];
        x[2 * i] = a * cosine[i] - b * s;
        x[2 * i + 1] = a * s + b * cosine[i];
      }
    }
  }
}

/// Turns the heads of packed rows, each by its token's position in its text (from 0).
///
/// Shapes  x [N, heads d]
template <Real S, Executor E>
void rotate(Rows<S> x, Index heads, const Segments& segments, const RotaryTable<S>& table, RotaryStyle style, E& executor) {
  executor.parallel_for(segments.size(), [&](Index b, Index) {
    for (Index t = 0; t < segments.shape(b).tokens; ++t)
      rotate_row(x.row_data(segments.offset(b) + t), heads, t, table, style);
  });
}

}  // namespace embedpool
