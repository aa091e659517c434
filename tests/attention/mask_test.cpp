#include <doctest/doctest.h>

#include "embedpool/attention/mask.hpp"

using namespace embedpool;

namespace {

struct NotAMask {
  Interval keys(Index) const noexcept { return {}; }
};
static_assert(!MaskPolicy<NotAMask>);
static_assert(!MaskPolicy<int>);

/// Whether the definition lets query i see key j.
template <class Mask, class Allowed>
void check(const Mask& mask, const Allowed& allowed) {
  for (const TextShape& shape :
       {TextShape::bare(1), TextShape::bare(7), TextShape{9, {3, 8}, 3}, TextShape{12, {12, 12}, 12}}) {
    Interval before{0, 0};
    for (Index i = 0; i < shape.tokens; ++i) {
      const Interval keys = mask.keys(i, shape);
      REQUIRE(keys.contains(i));
      REQUIRE(keys.begin >= before.begin);  // bounds never fall, so tiles may trust them
      REQUIRE(keys.end >= before.end);
      before = keys;
      for (Index j = 0; j < shape.tokens; ++j) REQUIRE(keys.contains(j) == allowed(i, j, shape));
      REQUIRE(keys.begin >= 0);
      REQUIRE(keys.end <= shape.tokens);
    }
  }
}

}  // namespace

TEST_CASE("every mask lets through what its definition says, in intervals that never fall") {
  check(Causal{}, [](Index i, Index j, const TextShape&) { return j <= i; });
  check(Bidirectional{}, [](Index, Index, const TextShape&) { return true; });
  for (const Index w : {1, 2, 5, 100}) {
    check(CausalWindow{w}, [w](Index i, Index j, const TextShape&) { return j <= i && i - j < w; });
    check(CausalWindowInclusive{w}, [w](Index i, Index j, const TextShape&) { return j <= i && i - j <= w; });
    check(BidirectionalWindow{w}, [w](Index i, Index j, const TextShape&) { return std::abs(i - j) <= w; });
    check(BidirectionalWindowExclusive{w}, [w](Index i, Index j, const TextShape&) { return std::abs(i - j) < w; });
    check(Intersection{PrefixBidirectional{}, BidirectionalWindow{w}}, [w](Index i, Index j, const TextShape& shape) {
      return (j <= i || (i < shape.text.begin && j < shape.text.begin)) && std::abs(i - j) <= w;
    });
  }
  check(PrefixBidirectional{}, [](Index i, Index j, const TextShape& shape) {
    return j <= i || (i < shape.text.begin && j < shape.text.begin);
  });
}
