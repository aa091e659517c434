#include "embedpool/pooling/any_tokens.hpp"

#include <doctest/doctest.h>

#include "embedpool/pooling/key_layout.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/prompt_only.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"
#include "embedpool/testing/hidden_states.hpp"
#include "support/refused.hpp"

using namespace embedpool;

namespace {

const auto states = testing::HiddenStates<double>::random(testing::example_texts(), 0, 5, 3);

/// Whether two readers agree in everything that the concept asks, on every example text.
template <class A, class B>
std::string difference(const A& a, const B& b) {
  if (a.slots() != b.slots()) return "slots";
  for (Index text = 0; text < states.segments().size(); ++text) {
    const TextShape& shape = states.segments().shape(text);
    const std::string at = " of text " + std::to_string(text);
    if (a.keys(shape) != b.keys(shape)) return "keys" + at;
    if (a.reads(shape) != b.reads(shape)) return "reads" + at;
    const Index keys = a.keys(shape);
    for (Index k = 0; k < keys; ++k)
      if (a.slot(k, shape) != b.slot(k, shape)) return "slot" + at;
    Matrix<double> from_a(keys, 5), from_b(keys, 5);
    a.read(states.layer(0).text(text), rows_of(from_a));
    b.read(states.layer(0).text(text), rows_of(from_b));
    if (from_a != from_b) return "read" + at;
    Matrix<double> da = Matrix<double>::Zero(shape.tokens, 5), db = da;
    a.backward(states.layer(0).text(text), Rows<const double>(rows_of(from_a)), rows_of(da));
    b.backward(states.layer(0).text(text), Rows<const double>(rows_of(from_a)), rows_of(db));
    if (da != db) return "backward" + at;
  }
  return "";
}

std::string refusal(std::string_view names) {
  return test::refusal([&] { AnyTokens::parse(names); });
}

}  // namespace

TEST_CASE("a reader by name is the fixed reader") {
  CHECK(difference(AnyTokens::parse("last"), LastToken{}) == "");
  CHECK(difference(AnyTokens::parse("first"), FirstToken{}) == "");
  CHECK(difference(AnyTokens::parse("mean"), TokenMean{}) == "");
  CHECK(difference(AnyTokens::parse("weighted-mean"), PositionWeightedMean{}) == "");
  CHECK(difference(AnyTokens::parse("max"), TokenMax{}) == "");
  CHECK(difference(AnyTokens::parse("mean-sqrt"), TokenMeanSqrt{}) == "");
  CHECK(difference(AnyTokens::parse("unit-mean"), UnitTokenMean{}) == "");
  CHECK(difference(AnyTokens::parse("all"), AllTokens{}) == "");
}

TEST_CASE("modifiers and several readers by name are the fixed ones") {
  CHECK(difference(AnyTokens::parse("mean@text"), PromptExcluded<TokenMean>{}) == "");
  CHECK(difference(AnyTokens::parse("weighted-mean@second-copy"), SecondCopy<PositionWeightedMean>{}) == "");
  CHECK(difference(AnyTokens::parse("mean@skip:2"), SkipFirst<TokenMean>{2}) == "");
  CHECK(difference(AnyTokens::parse("mean", 1), SkipFirst<TokenMean>{1}) == "");
  CHECK(difference(AnyTokens::parse("last,mean@text"), Both<LastToken, PromptExcluded<TokenMean>>{}) == "");
  CHECK(difference(AnyTokens::parse("last@prompt"), PromptOnly<LastToken>{}) == "");
  CHECK(difference(AnyTokens::parse("all@prompt,mean@text"), Both<PromptOnly<AllTokens>, PromptExcluded<TokenMean>>{}) == "");
  CHECK(difference(AnyTokens::parse("all@text,max,all"), Both<PromptExcluded<AllTokens>, Both<TokenMax, AllTokens>>{}) == "");
}

TEST_CASE("skipping counts from the start of the input and keeps the view's last token") {
  const TokenChoice own{TokenKind::mean, TokenView::text, 4};
  CHECK(own.shown({12, {3, 11}, 7}) == Interval{4, 11});
  CHECK(own.shown({7, {2, 4}, 2}) == Interval{3, 4});
  CHECK(own.shown({9, {6, 9}, 6}) == Interval{6, 9});
}

TEST_CASE("all but the prompt is what stands behind it, or everything where there is none") {
  const TokenChoice rest{TokenKind::mean, TokenView::after_prompt, 0};
  CHECK(rest.shown({12, {3, 11}, 3, 3}) == Interval{3, 12});
  CHECK(rest.shown({12, {1, 11}, 1, 0}) == Interval{0, 12});
}

TEST_CASE("names survive being written and read again") {
  for (const std::string names : {"last", "last,mean@text", "max@second-copy@skip:3,all", "last@prompt,mean@after-prompt"}) {
    CAPTURE(names);
    CHECK(AnyTokens::parse(names).to_string() == names);
  }
  CHECK(AnyTokens::parse("mean,last@skip:0", 2).to_string() == "mean@skip:2,last");
  CHECK(AnyTokens::parse("last,mean@text@skip:1") ==
        AnyTokens{{{TokenKind::last, TokenView::whole, 0}, {TokenKind::mean, TokenView::text, 1}}});
}

TEST_CASE("an unknown name is refused with the names there are") {
  CHECK(refusal("men").starts_with("pooling \"men\": \"men\" is not known; say last, first, mean, weighted-mean, max, "
                                   "mean-sqrt, unit-mean, all"));
  for (const std::string names : {"", "mean,", ",mean", "mean@", "mean@txt", "mean@skip", "mean@skip:", "mean@skip:-1",
                                  "mean@skip:1x", "mean@skip:99999999999999999999", "Mean", "mean "}) {
    CAPTURE(names);
    CHECK(refusal(names) != "");
  }
}

TEST_CASE("a text without a token in view is refused with the reader's name") {
  const TextShape prompt_only{3, {2, 2}, 2};
  CHECK_THROWS_WITH_AS(AnyTokens::parse("last,mean@text").check(prompt_only),
                       "AnyTokens: mean@text: no token is left to read in a text of 3 tokens", ShapeError);
  CHECK_THROWS_AS(AnyTokens{{}}.check(TextShape::bare(3)), ShapeError);
  CHECK_NOTHROW(AnyTokens::parse("mean@skip:9").check(prompt_only));
}

TEST_CASE("a text for which no reader gives a key is refused by its number") {
  Segments segments;
  segments.add({4, {2, 4}, 2});
  segments.add(TextShape::bare(3));
  CHECK_THROWS_WITH_AS(KeyLayout(AnyTokens::parse("last@prompt"), segments, 2),
                       "Pooling: text 1: has no token that the reader looks at", ShapeError);
  CHECK_THROWS_AS(KeyLayout(PromptOnly<AllTokens>{}, segments, 2), ShapeError);
  const KeyLayout beside(AnyTokens::parse("last@prompt,mean@text"), segments, 2);
  CHECK(beside.keys(0) == 4);
  CHECK(beside.keys(1) == 2);
  CHECK(std::vector<Index>(beside.kinds(1).begin(), beside.kinds(1).end()) == std::vector<Index>{1, 3});
}
