#include "embedpool/attention/any_mask.hpp"

#include <doctest/doctest.h>

using namespace embedpool;

namespace {

template <MaskPolicy M>
bool same_mask(const AnyMask& any, const M& fixed) {
  for (const TextShape& shape : {TextShape::bare(1), TextShape{9, {3, 8}, 3}})
    for (Index i = 0; i < shape.tokens; ++i)
      if (any.keys(i, shape) != fixed.keys(i, shape)) return false;
  return true;
}

}  // namespace

TEST_CASE("each name means its fixed mask") {
  CHECK(same_mask(AnyMask{}, Causal{}));
  CHECK(same_mask(AnyMask::parse("causal"), Causal{}));
  CHECK(same_mask(AnyMask::parse("bidirectional"), Bidirectional{}));
  CHECK(same_mask(AnyMask::parse("prefix"), PrefixBidirectional{}));
  CHECK(same_mask(AnyMask::parse("window:3"), CausalWindow{3}));
  CHECK(same_mask(AnyMask::parse("window-inclusive:3"), CausalWindowInclusive{3}));
  CHECK(same_mask(AnyMask::parse("bidirectional-window:3"), BidirectionalWindow{3}));
  CHECK(same_mask(AnyMask::parse("bidirectional-window-exclusive:3"), BidirectionalWindowExclusive{3}));
}

TEST_CASE("a mask's name names it again") {
  for (const std::string name : {"causal", "bidirectional", "prefix", "window:7", "window-inclusive:7",
                                 "bidirectional-window:7", "bidirectional-window-exclusive:7"})
    CHECK(AnyMask::parse(name).to_string() == name);
}

TEST_CASE("other names are refused with those that are known") {
  for (const std::string name : {"", "Causal", "window", "window:", "window:0", "window:-1", "window:3x", "causal:3",
                                 "window:99999999999999999999"}) {
    CAPTURE(name);
    CHECK_THROWS_WITH_AS(AnyMask::parse(name), doctest::Contains("bidirectional-window:N"), ShapeError);
  }
}
