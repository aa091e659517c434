#include "embedpool/io/text_layout.hpp"

#include <doctest/doctest.h>

using namespace embedpool;
using io::PromptTemplate;
using io::TextLayout;

namespace {

/// A tokenizer of letters in which '."' and 'xy' are one token (1000, 1001), so that tokens can straddle edges.
std::vector<TokenId> encode(std::string_view text) {
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view pair = text.substr(i, 2);
    if (pair == ".\"" || pair == "xy") {
      ids.push_back(pair == "xy" ? 1001 : 1000);
      ++i;
    } else {
      ids.push_back(static_cast<TokenId>(text[i]));
    }
  }
  return ids;
}

io::LaidOutText lay_out(const TextLayout& layout, std::string_view text) { return layout.lay_out(text, encode); }

}  // namespace

TEST_CASE("a bare text is its ids") {
  const auto result = lay_out({}, "abc");
  CHECK(result.ids == encode("abc"));
  CHECK(result.shape.tokens == 3);
  CHECK(result.shape.text == Interval{0, 3});
  CHECK(result.shape.second_copy == 0);
  CHECK(!result.truncated);
}

TEST_CASE("the text's own tokens lie between prompt and rest, behind what is prepended") {
  const auto result = lay_out({PromptTemplate::parse("in {text} out"), {7}, {8, 9}}, "abc");
  std::vector<TokenId> expected = encode("in abc out");
  expected.insert(expected.begin(), 7);
  expected.insert(expected.end(), {8, 9});
  CHECK(result.ids == expected);
  CHECK(result.shape.text == Interval{4, 7});
  CHECK(result.shape.second_copy == 4);
  CHECK(result.shape.tokens == 13);
  CHECK(result.shape.prompt_end == 4);
  const auto bare = lay_out({PromptTemplate::parse("{text} out"), {7}, {8, 9}}, "abc");
  CHECK(bare.shape.text == Interval{1, 4});
  CHECK(bare.shape.prompt_end == 0);  // what is prepended is no prompt
}

TEST_CASE("a token that straddles an edge of the text belongs to the text") {
  const auto end = lay_out({PromptTemplate::parse("\"{text}\"!")}, "a.");
  CHECK(end.ids == std::vector<TokenId>{'"', 'a', 1000, '!'});
  CHECK(end.shape.text == Interval{1, 3});
  const auto begin = lay_out({PromptTemplate::parse("-x{text}-")}, "yz");
  CHECK(begin.ids == std::vector<TokenId>{'-', 1001, 'z', '-'});
  CHECK(begin.shape.text == Interval{1, 3});
}

TEST_CASE("a prompt ends behind as many tokens as it has by itself, as sentence-transformers counts them") {
  const auto straddled = lay_out({PromptTemplate::parse("-x{text}-"), {7}}, "yz");
  CHECK(straddled.ids == std::vector<TokenId>{7, '-', 1001, 'z', '-'});
  CHECK(straddled.shape.text == Interval{2, 4});
  CHECK(straddled.shape.prompt_end == 3);  // '-' and 'x': the token of "xy" is left out with them
  CHECK(lay_out({PromptTemplate::parse("x{text}")}, "y").shape.prompt_end == 0);  // something is left of every text
  CHECK(lay_out({PromptTemplate::parse("x{text}")}, "yz").shape.prompt_end == 1);
  CHECK(lay_out({PromptTemplate::parse("-x{text}"), {}, {}, 3}, "yzzz").shape.prompt_end == 2);  // of a cut text, too
}

TEST_CASE("of a text that is repeated, the second copy is known") {
  const auto result = lay_out({PromptTemplate::parse("{text}, {text}.")}, "ab");
  CHECK(result.ids == encode("ab, ab."));
  CHECK(result.shape.text == Interval{0, 6});
  CHECK(result.shape.second_copy == 4);
}

TEST_CASE("a text that is too long loses its end and nothing else") {
  TextLayout layout{PromptTemplate::parse("<{text}>"), {7}, {8}, 7};
  CHECK(!lay_out(layout, "abc").truncated);
  const auto cut = lay_out(layout, "abcdef");
  CHECK(cut.truncated);
  CHECK(cut.ids == std::vector<TokenId>{7, '<', 'a', 'b', 'c', '>', 8});
  CHECK(cut.shape.text == Interval{2, 5});

  layout.prompt = PromptTemplate::parse("{text}-{text}!");
  layout.max_tokens = 9;
  const auto echo = lay_out(layout, "abcdef");
  CHECK(echo.ids == std::vector<TokenId>{7, 'a', 'b', '-', 'a', 'b', '!', 8});
  CHECK(echo.shape.text == Interval{1, 6});
  CHECK(echo.shape.second_copy == 4);

  layout.max_tokens = 5;
  CHECK_THROWS_WITH_AS(lay_out(layout, "abcdef"), doctest::Contains("no room"), ShapeError);
}

TEST_CASE("ids are laid out without a template") {
  const TextLayout layout{{}, {}, {8}, 3};
  const std::vector<TokenId> ids = {1, 2, 3};
  const auto result = layout.lay_out(ids);
  CHECK(result.ids == std::vector<TokenId>{1, 2, 8});
  CHECK(result.truncated);
  CHECK(result.shape.text == Interval{0, 2});
  CHECK_THROWS_AS(layout.lay_out(std::span<const TokenId>{}), ShapeError);
}

TEST_CASE("empty texts, and texts without a token, are refused") {
  CHECK_THROWS_WITH_AS(lay_out({}, ""), "text is empty", ShapeError);
  const auto nothing = [](std::string_view) { return std::vector<TokenId>{}; };
  CHECK_THROWS_WITH_AS(TextLayout{}.lay_out("  ", nothing), "text has no token", ShapeError);
}

TEST_CASE("a template has the text once or twice, and says itself again") {
  for (const std::string text : {"{text}", "a {text}", "{text} b {text} {c}"}) {
    CHECK(PromptTemplate::parse(text).to_string() == text);
  }
  CHECK(PromptTemplate{} == PromptTemplate::parse("{text}"));
  CHECK(PromptTemplate::prompt("q: ") == PromptTemplate::parse("q: {text}"));
  CHECK_THROWS_AS(PromptTemplate::parse("none"), ShapeError);
  CHECK_THROWS_AS(PromptTemplate::parse("{text}{text}{text}"), ShapeError);
  CHECK_THROWS_AS(PromptTemplate::prompt("{text}"), ShapeError);
}
