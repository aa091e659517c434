#include <doctest/doctest.h>

#include "embedpool/core/batch.hpp"
#include "embedpool/core/layer_states.hpp"

using namespace embedpool;

TEST_CASE("offsets give every text its rows") {
  const Segments segments = Segments::from_offsets(std::vector<Index>{0, 3, 4, 9});
  CHECK(segments.size() == 3);
  CHECK(segments.rows() == 9);
  CHECK(segments.offset(2) == 4);
  CHECK(segments.shape(2).tokens == 5);
  CHECK(segments.longest() == 5);
}

TEST_CASE("segments that do not make sense are refused by name") {
  CHECK_THROWS_WITH_AS(Segments::from_offsets(std::vector<Index>{}), doctest::Contains("offsets"), ShapeError);
  CHECK_THROWS_WITH_AS(Segments::from_offsets(std::vector<Index>{1, 2}), doctest::Contains("begin with 0"), ShapeError);
  CHECK_THROWS_WITH_AS(Segments::from_offsets(std::vector<Index>{0, 2, 2}), doctest::Contains("text 1"), ShapeError);
  Segments segments;
  segments.add({5, {1, 4}, 2});
  CHECK_THROWS_WITH_AS(segments.add({5, {1, 6}, 1}), doctest::Contains("text 1"), ShapeError);  // ends outside
  CHECK_THROWS_AS(segments.add({5, {3, 2}, 3}), ShapeError);                                    // ends before it begins
  CHECK_THROWS_AS(segments.add({5, {2, 4}, 1}), ShapeError);                                    // copy before the text
  CHECK(segments.size() == 1);
}

TEST_CASE("a batch refuses ids that do not fit their shape") {
  Batch batch;
  batch.add(std::vector<TokenId>{7, 8});
  CHECK_THROWS_WITH_AS(batch.add(std::vector<TokenId>{1}, TextShape::bare(2)), doctest::Contains("text 1"), ShapeError);
  CHECK_THROWS_AS(batch.add(std::vector<TokenId>{}), ShapeError);
  CHECK(batch.ids().size() == 2);
}

TEST_CASE("intervals intersect and span") {
  CHECK(intersection({0, 5}, {3, 9}) == Interval{3, 5});
  CHECK(intersection({0, 2}, {3, 9}).empty());
  CHECK(hull({0, 2}, {4, 5}) == Interval{0, 5});
  CHECK(hull({3, 3}, {4, 5}) == Interval{4, 5});
}

TEST_CASE("a selection packs the chosen tokens and reaches no others") {
  const Segments segments = Segments::from_offsets(std::vector<Index>{0, 3, 7});
  const RowSelection last(segments, [](const TextShape& shape) { return Interval{shape.tokens - 1, shape.tokens}; });
  CHECK(last.rows() == 2);
  CHECK(last.first_row(1) == 1);
  CHECK(last.held(1) == Interval{3, 4});
  CHECK_THROWS_AS(RowSelection(segments, [](const TextShape&) { return Interval{0, 4}; }), ShapeError);
  CHECK_THROWS_AS(RowSelection(segments, [](const TextShape&) { return Interval{1, 1}; }), ShapeError);

  const float values[] = {10, 20};
  const LayerStates<float> states{{values, 2, 1}, &segments, &last, {}};
  CHECK(states.text(1).row(3)[0] == 20.0f);
  CHECK(states.text(1).packed().rows == 1);
}

TEST_CASE("a part of a text is a text of its own") {
  const TextShape shape{10, {2, 8}, 5};
  const TextShape part = narrowed(shape, {3, 7});
  CHECK(part.tokens == 4);
  CHECK(part.text == Interval{0, 4});
  CHECK(part.second_copy == 2);
}
