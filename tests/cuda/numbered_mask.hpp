#pragma once
#include <doctest/doctest.h>

#include <algorithm>

#include "embedpool/attention/mask.hpp"

namespace embedpool::test {

/// A mask as a user writes one: a token sees the block of `size` tokens that it lies in, and all before it.
struct Blocks {
  Index size = 8;
  constexpr Interval keys(Index query, const TextShape& shape) const noexcept {
    return {0, std::min(shape.tokens, (query / size + 1) * size)};
  }
};
static_assert(MaskPolicy<Blocks>);

/// Every mask, by number: kernels are compiled once for all of them.
struct NumberedMask {
  static constexpr int count = 9;
  int number = 0;
  constexpr Interval keys(Index query, const TextShape& shape) const noexcept {
    switch (number) {
      case 1: return Bidirectional{}.keys(query, shape);
      case 2: return CausalWindow{9}.keys(query, shape);
      case 3: return CausalWindowInclusive{64}.keys(query, shape);
      case 4: return BidirectionalWindow{3}.keys(query, shape);
      case 5: return BidirectionalWindowExclusive{40}.keys(query, shape);
      case 6: return PrefixBidirectional{}.keys(query, shape);
      case 7: return Intersection{Causal{}, BidirectionalWindow{20}}.keys(query, shape);
      case 8: return Blocks{24}.keys(query, shape);
      default: return Causal{}.keys(query, shape);
    }
  }
};
static_assert(MaskPolicy<NumberedMask>);
inline constexpr NumberedMask causal{0}, bidirectional{1}, window{2}, narrow_window{4}, prefix{6};

template <class F>
void for_every_numbered_mask(F&& f) {
  for (int number = 0; number < NumberedMask::count; ++number) {
    CAPTURE(number);
    f(NumberedMask{number});
  }
}

}  // namespace embedpool::test
