#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::io::tokenizing {

/// The printable stand-ins that byte-level tokenizers write for the 256 bytes: printable Latin-1 characters stand for
/// themselves, the other 68 bytes, in order, for U+0100 and what follows ("Ġ", U+0120, is the space).
///
/// Source  openai/gpt-2: src/encoder.py, bytes_to_unicode
class ByteAlphabet {
 public:
  static constexpr char32_t character(unsigned char byte) noexcept { return table().characters[byte]; }

  /// The byte that a character stands for, -1 for characters outside the alphabet.
  static constexpr int byte(char32_t character) noexcept { return character < 0x144 ? table().bytes[character] : -1; }

  static std::string encode(std::string_view bytes) {
    std::string out;
    out.reserve(2 * bytes.size());
    for (const char c : bytes) append_utf8(out, character(static_cast<unsigned char>(c)));
    return out;
  }
  /// The bytes that a valid UTF-8 text stands for; nothing when a character is outside the alphabet.
  static std::optional<std::string> decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      const auto [c, bytes] = decode_utf8(text, i);
      i += bytes;
      const int value = byte(c);
      if (value < 0) return std::nullopt;
      out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
    }
    return out;
  }

 private:
  struct Table {
    std::array<char32_t, 256> characters{};
    std::array<std::int16_t, 0x144> bytes{};
  };
  static constexpr Table make() {
    Table t;
    for (auto& byte : t.bytes) byte = -1;
    char32_t next = 0x100;
    for (char32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      t.characters[b] = printable ? b : next++;
      t.bytes[t.characters[b]] = static_cast<std::int16_t>(b);
    }
    return t;
  }
  static constexpr const Table& table() noexcept { return table_; }
  static const Table table_;
};

inline constexpr ByteAlphabet::Table ByteAlphabet::table_ = ByteAlphabet::make();

}  // namespace embedpool::io::tokenizing
