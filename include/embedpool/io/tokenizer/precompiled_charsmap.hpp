#pragma once
#include <utf8proc.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/utf8.hpp"

namespace embedpool::io::tokenizing {

/// SentencePiece's compiled normalization rules: a double-array trie (darts-clone) from byte strings to places in a block
/// of zero-terminated replacements. Applied to every grapheme cluster of up to 5 bytes, else to every character; the
/// shortest rule that matches a beginning wins, as published tokenizers have it.
///
/// Layout  size of the trie in bytes (u32), its units (u32 each), the replacements; written as base64 in tokenizer.json
/// Errors  std::invalid_argument for bad base64 and sizes that do not fit
/// Source  google/sentencepiece: src/normalizer.cc; huggingface/spm_precompiled
class PrecompiledCharsmap {
 public:
  explicit PrecompiledCharsmap(std::string_view base64) {
    const std::string bytes = decode_base64(base64);
    const auto word = [&](std::size_t at) {
      std::uint32_t value = 0;
      for (std::size_t k = 0; k < 4; ++k) value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + k])) << 8 * k;
      return value;
    };
    if (bytes.size() < 4) throw std::invalid_argument("charsmap is shorter than its header");
    const std::size_t size = word(0);
    if (size % 4 != 0 || size > bytes.size() - 4) throw std::invalid_argument("charsmap is shorter than its trie");
    for (std::size_t at = 4; at < 4 + size; at += 4) units_.push_back(word(at));
    replacements_ = bytes.substr(4 + size);
    if (first_invalid_utf8(replacements_) != std::string::npos) throw std::invalid_argument("charsmap is not UTF-8");
  }

  void apply(std::string& text) const {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t end = cluster_end(text, i);
      const std::string_view cluster = std::string_view(text).substr(i, end - i);
      std::optional<std::string_view> replaced;
      if (cluster.size() < 6) replaced = find(cluster);
      if (replaced) {
        out += *replaced;
      } else {
        for (std::size_t k = 0; k < cluster.size();) {
          const std::string_view character = cluster.substr(k, utf8_length(cluster[k]));
          out += find(character).value_or(character);
          k += character.size();
        }
      }
      i = end;
    }
    text.swap(out);
  }

 private:
  static std::size_t cluster_end(const std::string& text, std::size_t at) {
    auto [c, bytes] = decode_utf8(text, at);
    utf8proc_int32_t state = 0;
    std::size_t end = at + bytes;
    while (end < text.size()) {
      const auto [next, length] = decode_utf8(text, end);
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c), static_cast<utf8proc_int32_t>(next), &state)) break;
      c = next;
      end += length;
    }
    return end;
  }

  /// The replacement of the shortest rule that `key` begins with.
  std::optional<std::string_view> find(std::string_view key) const noexcept {
    const auto unit = [&](std::size_t at) { return at < units_.size() ? units_[at] : 0u; };
    const auto offset = [](std::uint32_t u) { return static_cast<std::size_t>(u >> 10) << ((u & 0x200u) >> 6); };
    std::size_t node = offset(unit(0));
    for (const char c : key) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte == 0) return std::nullopt;
      node ^= byte;
      const std::uint32_t u = unit(node);
      if ((u & 0x800000FFu) != byte) return std::nullopt;
      node ^= offset(u);
      if ((u >> 8 & 1u) == 0) continue;
      const std::size_t begin = unit(node) & 0x7FFFFFFFu;
      if (begin >= replacements_.size()) return std::nullopt;
      const std::size_t end = replacements_.find('\0', begin);
      const std::string_view replacement =
          std::string_view(replacements_).substr(begin, end == std::string::npos ? end : end - begin);
      // A place inside a character would make the text ill-formed: a corrupt map, whose rule is left out.
      if (!replacement.empty() && (static_cast<unsigned char>(replacement[0]) & 0xC0) == 0x80) return std::nullopt;
      return replacement;
    }
    return std::nullopt;
  }

  static std::string decode_base64(std::string_view text) {
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    while (text.ends_with('=')) text.remove_suffix(1);
    for (const char c : text) {
      int value = -1;
      if (c >= 'A' && c <= 'Z') value = c - 'A';
      else if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
      else if (c >= '0' && c <= '9') value = c - '0' + 52;
      else if (c == '+') value = 62;
      else if (c == '/') value = 63;
      if (value < 0) throw std::invalid_argument("charsmap is not base64");
      bits = bits << 6 | static_cast<std::uint32_t>(value);
      if ((count += 6) >= 8) out.push_back(static_cast<char>(static_cast<unsigned char>(bits >> (count -= 8) & 0xFF)));
    }
    return out;
  }

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace embedpool::io::tokenizing
