#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace embedpool::io::tokenizing {

/// A hash of bytes, eight at a time; the quality that table lookups need, no more.
inline std::uint64_t hash_bytes(std::string_view text) noexcept {
  std::uint64_t hash = text.size() * 0x9E3779B97F4A7C15u;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * 0xD6E8FEB86659FD93u;
    hash ^= hash >> 32;
  };
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left >= 8; left -= 8, p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    mix(word);
  }
  if (left > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, left);
    mix(word);
  }
  return hash;
}

/// Strings with a number each, all characters in one block of memory; looked up by view, without allocation.
class StringTable {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;

  explicit StringTable(std::size_t expected = 0) : slots_(std::bit_ceil(2 * expected + 16), none) {}

  std::size_t size() const noexcept { return entries_.size(); }

  std::uint32_t find(std::string_view text) const noexcept {
    const std::uint64_t hash = hash_bytes(text);
    for (std::size_t i = hash;; ++i) {
      const std::uint32_t at = slots_[i & (slots_.size() - 1)];
      if (at == none) return none;
      const Entry& entry = entries_[at];
      if (entry.hash == static_cast<std::uint32_t>(hash >> 32) && view(entry) == text) return entry.value;
    }
  }

  /// False, and nothing changed, when the string is there already.
  bool insert(std::string_view text, std::uint32_t value) {
    if (2 * (entries_.size() + 1) > slots_.size()) grow();
    const std::uint64_t hash = hash_bytes(text);
    std::size_t i = hash;
    for (; slots_[i & (slots_.size() - 1)] != none; ++i)
      if (view(entries_[slots_[i & (slots_.size() - 1)]]) == text) return false;
    slots_[i & (slots_.size() - 1)] = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back({characters_.size(), static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(hash >> 32),
                        value});
    characters_.append(text);
    return true;
  }

 private:
  struct Entry {
    std::size_t begin;
    std::uint32_t length;
    std::uint32_t hash;
    std::uint32_t value;
  };
  std::string_view view(const Entry& entry) const noexcept {
    return std::string_view(characters_).substr(entry.begin, entry.length);
  }
  void grow() {
    slots_.assign(slots_.size() * 2, none);
    for (std::uint32_t at = 0; at < entries_.size(); ++at) {
      std::size_t i = hash_bytes(view(entries_[at]));
      while (slots_[i & (slots_.size() - 1)] != none) ++i;
      slots_[i & (slots_.size() - 1)] = at;
    }
  }

  std::vector<std::uint32_t> slots_;
  std::vector<Entry> entries_;
  std::string characters_;
};

}  // namespace embedpool::io::tokenizing
