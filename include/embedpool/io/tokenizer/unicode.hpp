#pragma once
#include <utf8proc.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::io::tokenizing {

/// General category of a code point.
inline utf8proc_category_t category(char32_t c) noexcept {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

/// The property White_Space.
constexpr bool is_whitespace(char32_t c) noexcept {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}
/// Categories Nd, Nl, No.
inline bool is_numeric(char32_t c) noexcept {
  if (c < 0x80) return c >= '0' && c <= '9';
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
}
inline bool is_mark(char32_t c) noexcept {
  const auto kind = category(c);
  return c >= 0x80 && (kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC || kind == UTF8PROC_CATEGORY_ME);
}
/// What patterns call \w: letters, marks, decimal and letter numbers, connector punctuation.
inline bool is_word(char32_t c) noexcept {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  const auto kind = category(c);
  if (c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9)) return true;  // joiners, circled letters
  if ((c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189)) return true;  // squared
  return (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_ME) || kind == UTF8PROC_CATEGORY_ND ||
         kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_PC;
}
/// Ideographs of the CJK blocks, which BERT sets apart as words.
constexpr bool is_ideograph(char32_t c) noexcept {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// Full lower-case mapping of every character by itself (a final sigma is not special).
inline void lowercase(std::string& text) {
  if (is_ascii(text)) {
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return;
  }
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, bytes] = decode_utf8(text, i);
    i += bytes;
    if (c == 0x130) out += "i\xCC\x87";  // the one character whose lower case is two
    else append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
  text.swap(out);
}

/// Keeps the characters that `keep` says yes to.
template <class Keep>
void filter_characters(std::string& text, Keep keep) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, bytes] = decode_utf8(text, i);
    if (keep(c)) {
      for (std::size_t k = 0; k < bytes; ++k) text[end++] = text[i + k];
    }
    i += bytes;
  }
  text.resize(end);
}

/// Unicode normalization forms (UAX #15).
enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// Whether a character has a decomposition that Hugging Face tokenizers, with the tables of an older Unicode, does not know.
constexpr bool is_newer_decomposition(char32_t c) noexcept {
  return c == 0x32FF || (c >= 0xA7F2 && c <= 0xA7F4) || c == 0xAB69 || (c >= 0x10781 && c <= 0x107BA) || c == 0x11938 ||
         c == 0x1F16C || (c >= 0x1FBF0 && c <= 0x1FBF9);
}

/// Marks are ordered by a stable sort, so that a hostile run of marks costs n log n; utf8proc's own ordering is quadratic.
inline void normalize(std::string& text, NormalForm form) {
  if (is_ascii(text)) return;
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const bool composed = form == NormalForm::nfc || form == NormalForm::nfkc;
  int options = UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
  if (compatible) options |= UTF8PROC_COMPAT;
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  utf8proc_int32_t parts[64];  // the longest decomposition has 18
  int boundary = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, bytes] = decode_utf8(text, i);
    i += bytes;
    if (is_newer_decomposition(c)) {
      points.push_back(static_cast<utf8proc_int32_t>(c));
      continue;
    }
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 64,
                                               static_cast<utf8proc_option_t>(options), &boundary);
    points.insert(points.end(), parts, parts + std::clamp<utf8proc_ssize_t>(count, 0, 64));
  }
  const auto order = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto begin = points.begin(); begin != points.end();) {
    auto end = begin;
    while (end != points.end() && order(*end) != 0) ++end;
    if (end - begin > 1) std::stable_sort(begin, end, [&](auto a, auto b) { return order(a) < order(b); });
    begin = end == begin ? begin + 1 : end;
  }
  auto count = static_cast<utf8proc_ssize_t>(points.size());
  if (composed) count = utf8proc_normalize_utf32(points.data(), count, static_cast<utf8proc_option_t>(options));
  text.clear();
  for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(text, static_cast<char32_t>(points[static_cast<std::size_t>(i)]));
}

}  // namespace embedpool::io::tokenizing
