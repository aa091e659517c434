#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "embedpool/io/tokenizer/text_error.hpp"

namespace embedpool::io::tokenizing {

/// A code point and the number of bytes that it takes.
struct CodePoint {
  char32_t value;
  std::size_t bytes;
};

/// Bytes of the sequence that starts with `lead`, the first byte of a character of valid UTF-8.
constexpr std::size_t utf8_length(char lead) noexcept {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Decodes the character at `at`; text must be valid UTF-8 and `at` the start of a character.
constexpr CodePoint decode_utf8(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

inline void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

/// Length of the well-formed sequence at `at`, or 0; `seen` is how many bytes could have begun one (at least 1).
/// Overlong forms, surrogates and code points above U+10FFFF are ill-formed.
constexpr std::size_t well_formed_utf8(std::string_view text, std::size_t at, std::size_t& seen) noexcept {
  const auto lead = static_cast<unsigned char>(text[at]);
  seen = 1;
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (; seen < length; ++seen, low = 0x80, high = 0xBF) {
    if (at + seen >= text.size()) return 0;
    const auto byte = static_cast<unsigned char>(text[at + seen]);
    if (byte < low || byte > high) return 0;
  }
  return length;
}

/// True when no byte is above 0x7F.
inline bool is_ascii(std::string_view text) noexcept {
  std::uint64_t any = 0;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, text.data() + i, 8);
    any |= eight;
  }
  for (; i < text.size(); ++i) any |= static_cast<unsigned char>(text[i]);
  return (any & 0x8080808080808080u) == 0;
}

/// Position of the first byte that is not valid UTF-8, npos when all is.
inline std::size_t first_invalid_utf8(std::string_view text) noexcept {
  if (is_ascii(text)) return std::string_view::npos;
  for (std::size_t i = 0, seen = 0; i < text.size();) {
    const std::size_t length = well_formed_utf8(text, i, seen);
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

/// Errors  TextError naming the position of the first ill-formed byte
inline void require_utf8(std::string_view text) {
  const std::size_t bad = first_invalid_utf8(text);
  if (bad != std::string_view::npos) [[unlikely]]
    throw TextError("invalid UTF-8", bad);
}

/// Puts U+FFFD in place of every maximal ill-formed part, as the Unicode standard recommends (section 3.9).
inline std::string replace_invalid_utf8(std::string bytes) {
  if (first_invalid_utf8(bytes) == std::string_view::npos) return bytes;
  std::string out;
  for (std::size_t i = 0, seen = 0; i < bytes.size();) {
    const std::size_t length = well_formed_utf8(bytes, i, seen);
    if (length > 0) out.append(bytes, i, length);
    else out += "\xEF\xBF\xBD";
    i += length > 0 ? length : seen;
  }
  return out;
}

}  // namespace embedpool::io::tokenizing
