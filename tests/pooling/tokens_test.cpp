#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/prompt_only.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"
#include "embedpool/testing/hidden_states.hpp"

using namespace embedpool;

namespace {

using Values = std::vector<double>;

/// A text of three values a token; `shape` says what its tokens are.
struct Text {
  Segments segments;
  RowSelection selection;
  std::vector<double> values;

  Text(const TextShape& shape, std::vector<double> h)
      : segments([&] {
          Segments s;
          s.add(shape);
          return s;
        }()),
        selection(RowSelection::all(segments)),
        values(std::move(h)) {}
  Index width() const { return static_cast<Index>(values.size()) / segments.rows(); }
  TextStates<double> states() const {
    return LayerStates<double>{{values.data(), segments.rows(), width()}, &segments, &selection, {}}.text(0);
  }

  template <class Reader>
  Values read(const Reader& reader) const {
    reader.check(segments.shape(0));
    const Index keys = reader.keys(segments.shape(0));
    Values out(static_cast<std::size_t>(keys * width()), -99);
    reader.read(states(), Rows<double>(out.data(), keys, width()));
    return out;
  }
  /// The gradient of the states for a gradient of the keys.
  template <class Reader>
  Values backward(const Reader& reader, const Values& dkeys) const {
    Values dstates(values.size(), 0);
    reader.backward(states(), Rows<const double>(dkeys.data(), reader.keys(segments.shape(0)), width()),
                    Rows<double>(dstates.data(), segments.rows(), width()));
    return dstates;
  }
};

// Four tokens of two values; as a prompt of one token, two of the text's own and one behind it; or an echo.
const std::vector<double> h = {1, 8, 2, 6, 4, -6, 8, 2};
const Text bare({4, {0, 4}, 0}, h);
const Text prompted({4, {1, 3}, 1}, h);
const Text echoed({4, {0, 4}, 2}, h);

template <class Reader>
std::vector<Index> kinds(const Reader& reader, const TextShape& shape) {
  std::vector<Index> found;
  for (Index k = 0; k < reader.keys(shape); ++k) found.push_back(reader.slot(k, shape));
  return found;
}

}  // namespace

TEST_CASE("readers give hand-worked keys") {
  CHECK(bare.read(LastToken{}) == Values{8, 2});
  CHECK(bare.read(FirstToken{}) == Values{1, 8});
  CHECK(bare.read(TokenMean{}) == Values{15.0 / 4, 10.0 / 4});
  CHECK(bare.read(PositionWeightedMean{}) == Values{(1 + 4 + 12 + 32) / 10.0, (8 + 12 - 18 + 8) / 10.0});
  CHECK(bare.read(TokenMax{}) == Values{8, 8});
  CHECK(bare.read(TokenMeanSqrt{}) == Values{15.0 / 2, 10.0 / 2});
  CHECK(bare.read(AllTokens{}) == h);
  const Text right_angle({2, {0, 2}, 0}, {3, 4, 0, -7});
  CHECK(right_angle.read(UnitTokenMean{})[0] == doctest::Approx(0.3));
  CHECK(right_angle.read(UnitTokenMean{})[1] == doctest::Approx(-0.1));
}

TEST_CASE("readers send gradients where the keys came from") {
  const Values d = {10, 20};
  CHECK(bare.backward(LastToken{}, d) == Values{0, 0, 0, 0, 0, 0, 10, 20});
  CHECK(bare.backward(FirstToken{}, d) == Values{10, 20, 0, 0, 0, 0, 0, 0});
  CHECK(bare.backward(TokenMean{}, d) == Values{2.5, 5, 2.5, 5, 2.5, 5, 2.5, 5});
  CHECK(bare.backward(PositionWeightedMean{}, d)[7] == doctest::Approx(8));
  CHECK(bare.backward(TokenMax{}, d) == Values{0, 20, 0, 0, 0, 0, 10, 0});
  CHECK(bare.backward(AllTokens{}, h) == h);
}

TEST_CASE("the gradient of a tie in TokenMax goes to the first of the largest") {
  const Text tie({3, {0, 3}, 0}, {1, 5, 5});
  CHECK(tie.backward(TokenMax{}, {7}) == Values{0, 7, 0});
}

TEST_CASE("modifiers show a part of the text as if it were all of it") {
  CHECK(prompted.read(PromptExcluded<TokenMean>{}) == Values{3, 0});
  CHECK(prompted.read(PromptExcluded<LastToken>{}) == Values{4, -6});
  CHECK(prompted.read(PromptExcluded<PositionWeightedMean>{}) == Values{10.0 / 3, -2});  // weights restart at 1
  CHECK(bare.read(SkipFirst<FirstToken>{1}) == Values{2, 6});
  CHECK(bare.read(SkipFirst<TokenMean>{2}) == Values{6, -2});
  CHECK(echoed.read(SecondCopy<FirstToken>{}) == Values{4, -6});
  CHECK(prompted.read(SecondCopy<TokenMean>{}) == Values{3, 0});  // not repeated: the text's own tokens
  CHECK(prompted.backward(PromptExcluded<TokenMean>{}, {2, 4}) == Values{0, 0, 1, 2, 1, 2, 0, 0});
}

TEST_CASE("the outer modifier cuts first") {
  CHECK(prompted.read(PromptExcluded<SkipFirst<FirstToken>>{SkipFirst<FirstToken>{1}}) == Values{4, -6});
  CHECK(prompted.read(SkipFirst<PromptExcluded<FirstToken>>{1}) == Values{2, 6});
}

TEST_CASE("SkipFirst keeps the last token of a text that is not longer") {
  CHECK(bare.read(SkipFirst<TokenMean>{4}) == Values{8, 2});
  CHECK(bare.read(SkipFirst<AllTokens>{1000}) == Values{8, 2});
  CHECK_THROWS_WITH_AS(SkipFirst<TokenMean>{-1}, "SkipFirst: count must not be negative, got -1", ShapeError);
}

TEST_CASE("a modifier that leaves nothing to read refuses the text") {
  const TextShape prompt_only{3, {2, 2}, 2};
  CHECK_THROWS_WITH_AS(PromptExcluded<TokenMean>{}.check(prompt_only),
                       "PromptExcluded: no token is left to read in a text of 3 tokens whose own tokens are [2, 2)",
                       ShapeError);
  CHECK_THROWS_AS(SecondCopy<TokenMean>{}.check(TextShape{3, {0, 2}, 2}), ShapeError);
  CHECK_THROWS_AS((Both<LastToken, PromptExcluded<TokenMean>>{}.check(prompt_only)), ShapeError);
  CHECK_NOTHROW(TokenMean{}.check(prompt_only));
}

TEST_CASE("PromptOnly reads what stands before the text, and gives no key where nothing does") {
  const Text two_before({4, {2, 3}, 2}, h);
  CHECK(two_before.read(PromptOnly<LastToken>{}) == Values{2, 6});
  CHECK(two_before.read(PromptOnly<TokenMean>{}) == Values{1.5, 7});
  CHECK(two_before.backward(PromptOnly<TokenMean>{}, {2, 4}) == Values{1, 2, 1, 2, 0, 0, 0, 0});
  CHECK(PromptOnly<LastToken>{}.reads(two_before.segments.shape(0)) == Interval{1, 2});
  CHECK(bare.read(PromptOnly<LastToken>{}) == Values{});
  CHECK(bare.backward(PromptOnly<LastToken>{}, {}) == Values(8, 0));
  const Both<PromptOnly<LastToken>, PromptExcluded<TokenMean>> both;
  CHECK(prompted.read(both) == Values{1, 8, 3, 0});
  CHECK(kinds(both, prompted.segments.shape(0)) == std::vector<Index>{0, 1});
  CHECK(bare.read(both) == bare.read(TokenMean{}));
  CHECK(kinds(both, bare.segments.shape(0)) == std::vector<Index>{1});
}

TEST_CASE("Both gives the keys of its first reader, then those of its second, as kinds of their own") {
  const Both<AllTokens, Both<LastToken, PromptExcluded<AllTokens>>> three;
  const TextShape& shape = prompted.segments.shape(0);
  CHECK(prompted.read(three) == Values{1, 8, 2, 6, 4, -6, 8, 2, 8, 2, 2, 6, 4, -6});
  CHECK(three.slots() == 3);
  CHECK(kinds(three, shape) == std::vector<Index>{0, 0, 0, 0, 1, 2, 2});
}

TEST_CASE("a reader says which tokens it looks at, so that a backbone can skip the others") {
  const TextShape& shape = prompted.segments.shape(0);
  CHECK(LastToken{}.reads(shape) == Interval{3, 4});
  CHECK(FirstToken{}.reads(shape) == Interval{0, 1});
  CHECK(TokenMean{}.reads(shape) == Interval{0, 4});
  CHECK(PromptExcluded<TokenMean>{}.reads(shape) == Interval{1, 3});
  CHECK(PromptExcluded<LastToken>{}.reads(shape) == Interval{2, 3});
  CHECK(SkipFirst<PromptExcluded<AllTokens>>{2}.reads(shape) == Interval{2, 3});
  CHECK(Both<LastToken, PromptExcluded<TokenMean>>{}.reads(shape) == Interval{1, 4});
}

TEST_CASE("a mean of many tokens is as exact as its type") {
  // 1 + 4096 values of 2^-24: a float sum would lose every one of them.
  const Index n = 4097;
  testing::HiddenStates<float> states(Segments::from_offsets(std::vector<Index>{0, n}), 0, 1);
  for (Index t = 0; t < n; ++t) states.rows(0)(t, 0) = t == 0 ? 1.0f : 0x1p-24f;
  float mean = 0;
  TokenMeanSqrt{}.read(states.layer(0).text(0), Rows<float>(&mean, 1, 1));
  CHECK(mean == static_cast<float>((1.0 + 4096 * 0x1p-24) / std::sqrt(4097.0)));
}
