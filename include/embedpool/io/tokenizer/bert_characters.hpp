#pragma once
#include <algorithm>
#include <iterator>

#include "embedpool/io/tokenizer/unicode.hpp"

namespace embedpool::io::tokenizing {

// What BERT's stages call marks, punctuation and control characters are the categories of Unicode 8, in which the reference
// (Hugging Face tokenizers, by its dependency unicode_categories) has them, whatever the system's tables are.

/// Whether a character of one of those categories came to it after Unicode 8: it lies in a range without older ones.
inline bool is_newer_than_unicode_8(char32_t c) noexcept {
  struct Range {
    char32_t first, last;
  };
  static constexpr Range newer[] = {
      {0x61D, 0x61D},     {0x7FD, 0x7FD},     {0x890, 0x8E2},     {0x9FD, 0x9FE},     {0xA76, 0xA76},
      {0xAFA, 0xAFF},     {0xB55, 0xB55},     {0xC04, 0xC3C},     {0xC77, 0xC77},     {0xC84, 0xC84},
      {0xD00, 0xD00},     {0xD3B, 0xD3C},     {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},
      {0x180F, 0x1886},   {0x1ABF, 0x1ACE},   {0x1B7D, 0x1B7E},   {0x1DF6, 0x1DFB},   {0x2E43, 0x2E5D},
      {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},   {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},   {0x10D24, 0x10F89},
      {0x11070, 0x11074}, {0x110C2, 0x110CD}, {0x111C9, 0x111C9}, {0x111CF, 0x111CF}, {0x1123E, 0x11241},
      {0x1133B, 0x1133B}, {0x11438, 0x1145E}, {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1182F, 0x11FFF},
      {0x12FF1, 0x13455}, {0x16E97, 0x16F4F}, {0x16FE2, 0x16FE4}, {0x1CF00, 0x1CF46}, {0x1E000, 0x1E4EF},
      {0x1E944, 0x1E95F}};
  const auto range = std::lower_bound(std::begin(newer), std::end(newer), c, [](const Range& r, char32_t x) { return r.last < x; });
  return range != std::end(newer) && range->first <= c;
}

/// Category Mn, as BERT strips accents.
inline bool is_nonspacing_mark(char32_t c) noexcept {
  if (c < 0x80) return false;
  return c == 0x1734 || (category(c) == UTF8PROC_CATEGORY_MN && !is_newer_than_unicode_8(c));
}
/// ASCII symbols count as punctuation here, as BERT has it; beyond ASCII the categories P*.
inline bool is_punctuation(char32_t c) noexcept {
  if (c < 0x80) return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7F);
  if (c == 0x166D || c == 0x111C9) return true;  // a symbol and a mark since
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO && !is_newer_than_unicode_8(c);
}
/// Control, format and private-use characters, without tab and line ends.
inline bool is_control(char32_t c) noexcept {
  if (c < 0x80) return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
  const auto kind = category(c);
  return (kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_CO) &&
         !is_newer_than_unicode_8(c);
}

}  // namespace embedpool::io::tokenizing
