// Each stage by itself, on values worked by hand.
#include <doctest/doctest.h>

#include "embedpool/io/tokenizer/added_tokens.hpp"
#include "embedpool/io/tokenizer/normalizer.hpp"
#include "embedpool/io/tokenizer/pre_tokenizer.hpp"
#include "embedpool/io/tokenizer/special_template.hpp"
#include "embedpool/io/tokenizer/text_decoder.hpp"

using namespace embedpool::io::tokenizing;
using embedpool::io::TextError;
using Strings = std::vector<std::string>;

namespace {
template <class Stage>
std::string normalized(const Stage& stage, std::string text) {
  stage.apply(text, MatchScratch{});
  return text;
}
template <class... Stages>
Strings pieces(std::string_view text, const Stages&... stages) {
  PieceList list;
  list.start(text, true);
  (stages.apply(list, MatchScratch{}), ...);
  Strings out;
  for (const Piece& piece : list.now) out.emplace_back(piece.text);
  return out;
}
Strings split_at_b(SplitBehavior behavior, bool inverted) {
  return pieces("abbcb", SplitAt{std::string("b"), behavior, inverted});
}
template <class Stage>
Strings decoded(const Stage& stage, Strings tokens) {
  stage.apply(tokens, MatchScratch{});
  return tokens;
}
}  // namespace

TEST_CASE("well-formed UTF-8 is told from every kind of ill-formed") {
  const auto valid = [](std::string_view text) { return first_invalid_utf8(text) == std::string_view::npos; };
  CHECK(valid(""));
  CHECK(valid("plain ASCII of more than eight bytes"));
  CHECK(valid("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
  CHECK(first_invalid_utf8("12345678\x80") == 8);              // continuation alone
  CHECK(first_invalid_utf8("a\xC0\x80") == 1);                 // overlong
  CHECK(first_invalid_utf8("a\xE0\x9F\xBF") == 1);             // overlong
  CHECK(first_invalid_utf8("a\xED\xA0\x80") == 1);             // surrogate
  CHECK(first_invalid_utf8("a\xF4\x90\x80\x80") == 1);         // above U+10FFFF
  CHECK(first_invalid_utf8("\xC3\xA9\xE2\x82") == 2);          // cut off
  CHECK_THROWS_WITH_AS(require_utf8("ab\xFF"), "text: invalid UTF-8 at byte 2", TextError);
  CHECK(replace_invalid_utf8("a\xE2\x82z\xFF") == "a\xEF\xBF\xBDz\xEF\xBF\xBD");  // one mark for each maximal part
}

TEST_CASE("every code point survives encoding and decoding") {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    CHECK(first_invalid_utf8(text) == std::string::npos);
    const auto [back, bytes] = decode_utf8(text, 0);
    CHECK(back == c);
    CHECK(bytes == text.size());
    CHECK(utf8_length(text[0]) == bytes);
  }
}

TEST_CASE("the byte alphabet is a bijection") {
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(static_cast<unsigned char>(b)));
  const std::string written = ByteAlphabet::encode(all);
  CHECK(first_invalid_utf8(written) == std::string::npos);
  CHECK(ByteAlphabet::decode(written) == all);
  CHECK(ByteAlphabet::encode(" a\n") == "\u0120a\u010A");
  CHECK_FALSE(ByteAlphabet::decode("a b").has_value());
}

TEST_CASE("splitting keeps delimiters as each behavior says") {
  using B = SplitBehavior;
  CHECK(split_at_b(B::isolated, false) == Strings{"a", "b", "b", "c", "b"});
  CHECK(split_at_b(B::removed, false) == Strings{"a", "c"});
  CHECK(split_at_b(B::removed, true) == Strings{"b", "b", "b"});
  CHECK(split_at_b(B::contiguous, false) == Strings{"a", "bb", "c", "b"});
  CHECK(split_at_b(B::merged_with_previous, false) == Strings{"ab", "b", "cb"});
  CHECK(split_at_b(B::merged_with_next, false) == Strings{"a", "b", "bc", "b"});
  CHECK(split_at_b(B::merged_with_previous, true) == Strings{"a", "b", "bc", "b"});
}

TEST_CASE("the GPT-2 pattern cuts contractions, words with their space, numbers and spaces") {
  CHECK(pieces("I've 42  cats!\n\n ok", SplitAt{Regex(gpt2_pattern)}) ==
        Strings{"I", "'ve", " 42", " ", " cats", "!", "\n\n", " ok"});
}

TEST_CASE("normalizers rewrite as their names say") {
  CHECK(normalized(ToNormalForm{NormalForm::nfc}, "e\u0301") == "\u00E9");
  CHECK(normalized(ToNormalForm{NormalForm::nfd}, "\u00E9") == "e\u0301");
  CHECK(normalized(ToNormalForm{NormalForm::nfkc}, "\uFB01 \u2460") == "fi 1");
  CHECK(normalized(ToNormalForm{NormalForm::nfkd}, "\u00BD\u00C5") == "1\u20442A\u030A");
  CHECK(normalized(ToNormalForm{NormalForm::nfc}, "\u1112\u1161\u11AB") == "\uD55C");   // Hangul
  CHECK(normalized(ToNormalForm{NormalForm::nfd}, "a\u0301\u0323") == "a\u0323\u0301");  // marks in canonical order
  CHECK(normalized(Lowercase{}, "\u00C4B\u0130\u03A3") == "\u00E4bi\u0307\u03C3");
  CHECK(normalized(StripAccents{}, "e\u0301\u0903x") == "ex");
  CHECK(normalized(Prepend{"_"}, "a") == "_a");
  CHECK(normalized(Prepend{"_"}, "").empty());
  CHECK(normalized(Replace{Regex(" {2,}"), " "}, "a   b c") == "a b c");
  CHECK(normalized(Replace{std::string("ab"), "x"}, "aabab") == "axx");
  CHECK(normalized(Strip{}, " \u3000a b\n") == "a b");
  CHECK(normalized(Strip{true, false}, " a ") == "a ");
  CHECK(normalized(Strip{}, " \u00A0 ").empty());
}

TEST_CASE("BERT's normalizer cleans, sets ideographs apart, strips accents and lowers") {
  CHECK(normalized(BertNormalizer{}, std::string("\0A\u00C9\t\u4E2Db\u200B\uFFFD", 15)) == "ae  \u4E2D b");
  CHECK(normalized(BertNormalizer{true, true, false, false}, "\u00C9") == "\u00C9");
}

TEST_CASE("marks, punctuation and decompositions are those of the reference, whatever the system's Unicode") {
  CHECK(normalized(BertNormalizer{}, "a\u0301b") == "ab");
  CHECK(normalized(BertNormalizer{}, "a\u1734b") == "ab");        // a mark in Unicode 8, a spacing one since
  CHECK(normalized(BertNormalizer{}, "a\u08D1b") == "a\u08D1b");  // a mark since Unicode 14
  CHECK(is_punctuation(U'\u2E42'));
  CHECK_FALSE(is_punctuation(U'\u2E43'));  // since Unicode 9
  CHECK_FALSE(is_punctuation(U'\u061D'));
  CHECK(is_punctuation(U'\U000111C9'));
  CHECK_FALSE(is_control(U'\u08E2'));
  CHECK(is_control(U'\u200B'));
  CHECK(normalized(ToNormalForm{NormalForm::nfkc}, "\u32FE\u32FF") == "\u30F2\u32FF");
}

TEST_CASE("normalizers that blow a text up are stopped") {
  Normalizer doubling;
  for (int i = 0; i < 60; ++i) doubling.stages.emplace_back(Replace{std::string("a"), "aa"});
  std::string text = "a";
  CHECK_THROWS_AS(doubling.apply(text, MatchScratch{}), TextError);
}

TEST_CASE("pre-tokenizers cut as their names say") {
  const SplitAtCharacters digits{is_numeric, SplitBehavior::contiguous};
  CHECK(pieces("a12\u00BDb", digits) == Strings{"a", "12\u00BD", "b"});
  CHECK(pieces("a+\u00BFb", SplitAtCharacters{is_punctuation}) == Strings{"a", "+", "\u00BF", "b"});
  CHECK(pieces("h\u00E9_1, +- x", WordsAndSymbols{}) == Strings{"h\u00E9_1", ",", "+-", "x"});
  CHECK(pieces("a\U0001F170b \U0001F189\u24B6-\U0001F18E", WordsAndSymbols{}) == Strings{"a\U0001F170b", "\U0001F189\u24B6", "-\U0001F18E"});
  CHECK(pieces("a b", PrefixSpace{}) == Strings{" a b"});
  CHECK(pieces(" a", PrefixSpace{}) == Strings{" a"});
  const std::string u = "\u2581";
  CHECK(pieces("a  b", Metaspace{}) == Strings{u + "a", u, u + "b"});
  CHECK(pieces(" a", Metaspace{}) == Strings{u + "a"});
  CHECK(pieces("a b", Metaspace{u, Metaspace::Prepend::never, false}) == Strings{"a" + u + "b"});
  CHECK(pieces("a-b", SplitAtCharacters{is_punctuation, SplitBehavior::removed}, Metaspace{u, Metaspace::Prepend::first, true}) ==
        Strings{u + "a", "b"});
  CHECK(pieces("", Metaspace{}).empty());
}

TEST_CASE("added tokens are found leftmost and longest, with their spaces and word bounds") {
  AddedTokenMatcher matcher;
  const auto add = [&](const char* content, int id, auto set) {
    AddedToken token;
    token.content = content;
    token.id = id;
    set(token);
    matcher.add(content, token);
  };
  const auto plain = [](AddedToken&) {};
  add("<a>", 1, plain);
  add("<a><b>", 2, plain);
  add("word", 3, [](AddedToken& t) { t.single_word = true; });
  add("<m>", 4, [](AddedToken& t) { t.lstrip = t.rstrip = true; });
  add("<s>", 5, [](AddedToken& t) { t.special = true; });
  const auto parts = [&](std::string_view text, bool special) {
    std::string out;
    matcher.split(
        text, special, [&](std::string_view part, std::size_t) { out.append("[").append(part).append("]"); },
        [&](const AddedToken& t) { out += std::to_string(t.id); });
    return out;
  };
  CHECK(parts("x<a><b><a>y", true) == "[x]21[y]");
  CHECK(parts("word words aword", true) == "3[ words aword]");
  CHECK(parts("a  <m>\n b", true) == "[a]4[b]");
  CHECK(parts("<a> <m> <m>", true) == "144");
  CHECK(parts("<s>x", true) == "5[x]");
  CHECK(parts("<s>x", false) == "[<s>x]");
  CHECK(parts("<a", true) == "[<a]");
  CHECK(parts("", true).empty());
}

TEST_CASE("pairs are cut longest first") {
  const auto cut = [](std::size_t a, std::size_t b, std::size_t room) {
    const auto l = PairLengths::longest_first(a, b, room);
    return std::pair(l.first, l.second);
  };
  using P = std::pair<std::size_t, std::size_t>;
  CHECK(cut(3, 4, 10) == P(3, 4));
  CHECK(cut(2, 9, 8) == P(2, 6));
  CHECK(cut(9, 2, 8) == P(6, 2));
  CHECK(cut(9, 9, 7) == P(3, 4));
  CHECK(cut(9, 0, 4) == P(4, 0));
  CHECK(cut(9, 9, 0) == P(0, 0));
}

TEST_CASE("decoders undo what their tokenizers did") {
  CHECK(decoded(DecodeByteAlphabet{}, {"\u0120h", "\u00C3", "\u00A9", "<x y>"}) == Strings{" h\u00E9<x y>"});
  CHECK(decoded(DecodeWordPiece{}, {"un", "##able", ",", "yes"}) == Strings{"un", "able", ",", " yes"});
  CHECK(decoded(DecodeWordPiece{"##", false}, {"a", "."}) == Strings{"a", " ."});
  CHECK(decoded(DecodeMetaspace{}, {"\u2581a", "\u2581b"}) == Strings{"a", " b"});
  CHECK(decoded(DecodeMetaspace{"\u2581", false}, {"\u2581a"}) == Strings{" a"});
  CHECK(decoded(DecodeByteFallback{}, {"a", "<0xC3>", "<0xA9>", "b", "<0xFF>", "<0x4>"}) ==
        Strings{"a", "\u00E9", "b", "\uFFFD", "<0x4>"});
  CHECK(decoded(DecodeStrip{" ", 1, 0}, {"  a "}) == Strings{" a "});
  CHECK(decoded(DecodeWordSuffix{}, {"a</w>", "b</w>"}) == Strings{"a ", "b"});
}
