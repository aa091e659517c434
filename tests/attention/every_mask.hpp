#pragma once
#include "embedpool/attention/mask.hpp"

namespace embedpool::test {

/// Calls f with a mask of every kind; windows are shorter and longer than a tile of 64 keys.
template <class F>
void for_every_mask(F&& f) {
  f(Causal{});
  f(Bidirectional{});
  f(CausalWindow{9});
  f(CausalWindowInclusive{64});
  f(BidirectionalWindow{3});
  f(BidirectionalWindowExclusive{70});
  f(PrefixBidirectional{});
  f(Intersection{Causal{}, BidirectionalWindow{20}});
}

}  // namespace embedpool::test
