#pragma once
#include <string>
#include <variant>
#include <vector>

#include "embedpool/io/tokenizer/byte_alphabet.hpp"
#include "embedpool/io/tokenizer/pattern.hpp"
#include "embedpool/io/tokenizer/pieces.hpp"
#include "embedpool/io/tokenizer/unicode.hpp"

namespace embedpool::io::tokenizing {

/// GPT-2's pattern: contractions, then letters, numbers and other characters with one space before them, then spaces.
inline constexpr const char* gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Cuts at a pattern.
struct SplitAt {
  Pattern pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool inverted = false;

  void apply(PieceList& pieces, const MatchScratch& scratch) const {
    pieces.each([&](std::string_view text, bool, auto&& emit) {
      split(text, behavior, inverted, [&](auto&& each) { for_each_match(pattern, text, scratch, each); }, emit);
    });
  }
};

/// Puts a space before a piece that does not begin with one.
struct PrefixSpace {
  void apply(PieceList& pieces, const MatchScratch&) const {
    pieces.rewrite([](std::string_view text, bool, std::string& out) {
      if (!text.starts_with(' ')) out = ' ';
      out += text;
    });
  }
};

/// Writes every byte as its character of the byte alphabet. Left out where the model works on bytes itself.
struct ToByteAlphabet {
  void apply(PieceList& pieces, const MatchScratch&) const {
    pieces.rewrite([](std::string_view text, bool, std::string& out) { out = ByteAlphabet::encode(text); });
  }
};

/// Cuts at characters of one kind.
struct SplitAtCharacters {
  bool (*is_delimiter)(char32_t) noexcept;
  SplitBehavior behavior = SplitBehavior::isolated;

  void apply(PieceList& pieces, const MatchScratch&) const {
    pieces.each([&](std::string_view text, bool, auto&& emit) {
      split(text, behavior, false, characters_where(text, is_delimiter), emit);
    });
  }
};

/// Words and runs of what is neither word nor space; spaces are dropped: \w+|[^\w\s]+
struct WordsAndSymbols {
  void apply(PieceList& pieces, const MatchScratch&) const {
    pieces.each([](std::string_view text, bool, auto&& emit) {
      enum Kind { space, word, symbol };
      std::size_t begin = 0;
      Kind running = space;
      for (std::size_t i = 0; i < text.size();) {
        const auto [c, bytes] = decode_utf8(text, i);
        const Kind kind = is_word(c) ? word : is_whitespace(c) ? space : symbol;
        if (kind != running) {
          if (running != space) emit(text.substr(begin, i - begin));
          begin = i;
          running = kind;
        }
        i += bytes;
      }
      if (running != space) emit(text.substr(begin));
    });
  }
};

/// SentencePiece's spaces: U+2581 for every space, one more before the text, and a cut before each.
struct Metaspace {
  enum class Prepend { always, first, never };
  std::string replacement = "\xE2\x96\x81";
  Prepend prepend = Prepend::always;
  bool cut = true;

  void apply(PieceList& pieces, const MatchScratch&) const {
    pieces.rewrite([&](std::string_view text, bool at_start, std::string& out) {
      out.reserve(text.size() + 16);
      const bool begins = text.starts_with(' ') || text.starts_with(replacement);
      if (!begins && (prepend == Prepend::always || (prepend == Prepend::first && at_start))) out = replacement;
      for (const char c : text) {
        if (c == ' ') out += replacement;
        else out += c;
      }
    });
    if (!cut) return;
    pieces.each([&](std::string_view text, bool, auto&& emit) {
      split(text, SplitBehavior::merged_with_next, false, occurrences_of(text, replacement), emit);
    });
  }
};

/// One stage of cutting a text into the words that the model sees; a tokenizer has a list of them.
using PreTokenizerStage =
    std::variant<SplitAt, PrefixSpace, ToByteAlphabet, SplitAtCharacters, WordsAndSymbols, Metaspace>;

}  // namespace embedpool::io::tokenizing
