#pragma once
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/regex.hpp"
#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::io::tokenizing {

/// What becomes of the delimiters when a text is split.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Cuts `text` at delimiters that for_each_delimiter(each) reports from left to right, each(Match); calls emit(part) for
/// every part in order. With `inverted`, what lies between the delimiters takes their role.
template <class Delimiters, class Emit>
void split(std::string_view text, SplitBehavior behavior, bool inverted, Delimiters&& for_each_delimiter, Emit&& emit) {
  // One part is held back, because what follows may still belong to it.
  std::size_t begin = 0, end = 0;
  bool holding = false, held_delimiter = false;
  const auto flush = [&] {
    if (holding) emit(text.substr(begin, end - begin));
    holding = false;
  };
  const auto hold = [&](std::size_t b, std::size_t e, bool delimiter) {
    begin = b;
    end = e;
    holding = true;
    held_delimiter = delimiter;
  };
  const auto part = [&](std::size_t b, std::size_t e, bool delimiter) {
    delimiter = delimiter != inverted;
    switch (behavior) {
      case SplitBehavior::removed:
        if (!delimiter) emit(text.substr(b, e - b));
        return;
      case SplitBehavior::isolated: emit(text.substr(b, e - b)); return;
      case SplitBehavior::contiguous:
        if (holding && held_delimiter == delimiter) {
          end = e;
          return;
        }
        break;
      case SplitBehavior::merged_with_previous:
        if (holding && delimiter && !held_delimiter) {
          end = e;
          held_delimiter = true;
          return;
        }
        break;
      case SplitBehavior::merged_with_next:
        if (holding && held_delimiter && !delimiter) {
          end = e;
          held_delimiter = false;
          return;
        }
        break;
    }
    flush();
    hold(b, e, delimiter);
  };
  std::size_t done = 0;
  for_each_delimiter([&](const Match& match) {
    if (done < match.begin) part(done, match.begin, false);
    part(match.begin, match.end, true);
    done = match.end;
  });
  if (done < text.size()) part(done, text.size(), false);
  flush();
}

/// Delimiters: every single character that is_delimiter(code point) says yes to.
template <class Predicate>
auto characters_where(std::string_view text, Predicate is_delimiter) {
  return [text, is_delimiter](auto&& each) {
    for (std::size_t i = 0; i < text.size();) {
      const auto [c, bytes] = decode_utf8(text, i);
      if (is_delimiter(c)) each(Match{i, i + bytes});
      i += bytes;
    }
  };
}

/// Delimiters: every occurrence of `literal`, none overlapping.
inline auto occurrences_of(std::string_view text, std::string_view literal) {
  return [text, literal](auto&& each) {
    if (literal.empty()) return;
    for (std::size_t i = text.find(literal); i != std::string_view::npos; i = text.find(literal, i + literal.size()))
      each(Match{i, i + literal.size()});
  };
}

}  // namespace embedpool::io::tokenizing
