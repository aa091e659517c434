#include <doctest/doctest.h>

#include "embedpool/core/text_shape.hpp"

using namespace embedpool;

TEST_CASE("intervals know their size, what they contain, share and span") {
  CHECK(Interval{2, 5}.size() == 3);
  CHECK(Interval{5, 2}.size() == 0);
  CHECK(Interval{5, 5}.empty());
  CHECK(Interval{2, 5}.contains(2));
  CHECK_FALSE(Interval{2, 5}.contains(5));
  CHECK(intersection({0, 4}, {2, 9}) == Interval{2, 4});
  CHECK(intersection({0, 2}, {5, 9}).empty());
  CHECK(hull({0, 2}, {5, 9}) == Interval{0, 9});
  CHECK(hull({3, 3}, {5, 9}) == Interval{5, 9});
  CHECK(hull({5, 9}, {3, 1}) == Interval{5, 9});
}

TEST_CASE("a view of a text keeps what lies in it, counted from its beginning") {
  const TextShape shape{10, {3, 8}, 6};
  const TextShape all = narrowed(shape, {0, 10});
  CHECK(all.tokens == 10);
  CHECK(all.text == Interval{3, 8});
  CHECK(all.second_copy == 6);
  const TextShape tail = narrowed(shape, {4, 10});
  CHECK(tail.tokens == 6);
  CHECK(tail.text == Interval{0, 4});
  CHECK(tail.second_copy == 2);
  const TextShape head = narrowed(shape, {0, 5});
  CHECK(head.text == Interval{3, 5});
  CHECK(head.second_copy == 5);
  CHECK(TextShape::bare(4).text == Interval{0, 4});
}
