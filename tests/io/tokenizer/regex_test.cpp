// What patterns of tokenizer files match.
#include <doctest/doctest.h>

#include "embedpool/io/tokenizer/pre_tokenizer.hpp"

using namespace embedpool::io::tokenizing;
using embedpool::io::TextError;
using Strings = std::vector<std::string>;

namespace {
Strings cut(const char* pattern, std::string_view text, SplitBehavior behavior = SplitBehavior::isolated) {
  PieceList list;
  list.start(text, true);
  SplitAt{Regex(pattern), behavior}.apply(list, MatchScratch{});
  Strings out;
  for (const Piece& piece : list.now) out.emplace_back(piece.text);
  return out;
}
}  // namespace

TEST_CASE("white space in patterns is the property White_Space") {
  const char* spaces = R"(\s+)";
  CHECK(cut(spaces, "a\u0085b\u00A0c\u3000d", SplitBehavior::removed) == Strings{"a", "b", "c", "d"});
  CHECK(cut(spaces, "a\u180Eb\u200Bc", SplitBehavior::removed) == Strings{"a\u180Eb\u200Bc"});  // format characters
  CHECK(cut(R"([^\s]+)", "a b", SplitBehavior::removed) == Strings{" "});
}

// What follows was recorded from the Python package tokenizers, whose patterns Oniguruma runs.
TEST_CASE("a quantifier behind a count repeats the group, as tokenizers' patterns mean it") {
  CHECK(cut(R"(\p{N}{1,3}+)", "12345678 1234") == Strings{"12345678", " ", "1234"});
  CHECK(cut(R"(\p{N}{1,3})", "12345678") == Strings{"123", "456", "78"});
  CHECK(cut(R"((?:1|2){2}+3)", "12123") == Strings{"12123"});
  CHECK(cut(R"(x[12]{2}+)", "x12122") == Strings{"x1212", "2"});
  CHECK(cut(R"(xa{2}?)", "xaax") == Strings{"xaa", "x"});  // twice or not at all
  CHECK(cut(R"(\p{N}{,3})", "12345") == Strings{"123", "45"});
  CHECK(cut(R"(a++{)", "aa{1,x}") == Strings{"aa{", "1,x}"});
}

TEST_CASE("words, named classes and scripts in patterns are the characters that Oniguruma means") {
  CHECK(cut(R"(\w+)", "m\u00B2 a\U0001F170b \u24D0-") == Strings{"m\u00B2", " ", "a\U0001F170b", " ", "\u24D0", "-"});
  CHECK(cut(R"([\w]+)", "m\u00B2 a\u24D0") == Strings{"m", "\u00B2 ", "a\u24D0"});
  CHECK(cut(R"(\bx)", "e\u0301x x") == Strings{"e\u0301x ", "x"});
  CHECK(cut(R"(\Bx)", "e\u0301x x") == Strings{"e\u0301", "x", " x"});
  CHECK(cut(R"([[:punct:]]+)", "a+\u00A9.b") == Strings{"a", "+\u00A9.", "b"});
  CHECK(cut(R"([[:alpha:]]+)", "\u0915\u093F1") == Strings{"\u0915\u093F", "1"});
  CHECK(cut(R"([]\s]+)", "a] b") == Strings{"a", "] ", "b"});
  CHECK(cut(R"(\p{Han}+)", "\u597D\u3002\u597D") == Strings{"\u597D", "\u3002", "\u597D"});
  CHECK(cut(R"(\p{^Han}+)", "\u597D\u3002\u597D") == Strings{"\u597D", "\u3002", "\u597D"});
  CHECK(cut(R"(\v)", "a\nb\vc") == Strings{"a\nb", "\v", "c"});
}

TEST_CASE("options in patterns reach as far as in Oniguruma, and m lets the dot match line ends") {
  CHECK(cut("(?m:a.b)", "a\nb") == Strings{"a\nb"});
  CHECK(cut("a(?i)b|c", "aBc aC") == Strings{"aB", "c ", "aC"});  // a(?i:b|c)
  CHECK(cut("(a(?i)b)c", "aBc aBC") == Strings{"aBc", " aBC"});
}

TEST_CASE("patterns that mean something else in PCRE2 are refused") {
  for (const char* pattern : {"\\h", "[a&&b]", "[[a]b]", "\\Kx", "[\\W]", "(", "a{2,1}", "\\p{Nonsense}", "[z-a]", "\\Qa\\E",
                              "\\pL", "\\xe2", "(?s:a)", "[[:^alpha:]]", "[[:alpha", "[a", "\\", "(?#", "(?i", ")"}) {
    CAPTURE(std::string(pattern));
    CHECK_THROWS_AS(Regex{pattern}, std::invalid_argument);
  }
  CHECK_THROWS_AS(Regex{std::string(70000, 'a')}, std::invalid_argument);
}

TEST_CASE("a pattern that explodes ends with an error") {
  const Regex explosive("(a|aa|aaa)+$");
  Match match{};
  CHECK_THROWS_AS(explosive.find(std::string(5000, 'a') + "b", 0, match, MatchScratch{}), TextError);
}

TEST_CASE("empty matches separate characters and end") {
  int count = 0;
  Regex("(?=b)").for_each_match("ab\u00E9b", MatchScratch{}, [&](const Match& m) {
    CHECK(m.begin == m.end);
    ++count;
  });
  CHECK(count == 2);
}
