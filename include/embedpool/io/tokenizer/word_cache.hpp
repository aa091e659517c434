#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "embedpool/core/types.hpp"
#include "embedpool/io/tokenizer/string_table.hpp"

namespace embedpool::io::tokenizing {

/// Ids of the short words met last, so that a frequent word is merged once. Direct mapped, of fixed size (512 KiB), one
/// cache line an entry; entries carry the number of the model that made them, so models never see each other's.
class WordCache {
 public:
  /// The ids of `word` under `model`; empty when they are not here.
  std::span<const TokenId> find(std::uint32_t model, std::string_view word, std::uint64_t hash) const noexcept {
    if (entries_.empty() || word.size() > max_bytes) return {};
    const Entry& entry = entries_[hash % entry_count];
    if (entry.model != model || entry.length != word.size() || std::memcmp(entry.word.data(), word.data(), word.size()) != 0)
      return {};
    return {entry.ids.data(), entry.count};
  }
  void keep(std::uint32_t model, std::string_view word, std::uint64_t hash, std::span<const TokenId> ids) {
    if (word.size() > max_bytes || ids.size() > max_ids || ids.empty()) return;
    if (entries_.empty()) entries_.resize(entry_count);
    Entry& entry = entries_[hash % entry_count];
    entry.model = model;
    entry.length = static_cast<std::uint8_t>(word.size());
    entry.count = static_cast<std::uint8_t>(ids.size());
    std::memcpy(entry.word.data(), word.data(), word.size());
    std::memcpy(entry.ids.data(), ids.data(), ids.size_bytes());
  }

 private:
  static constexpr std::size_t entry_count = 8192, max_bytes = 26, max_ids = 8;
  struct Entry {
    std::uint32_t model = 0;
    std::uint8_t length = 0;
    std::uint8_t count = 0;
    std::array<char, max_bytes> word{};
    std::array<TokenId, max_ids> ids{};
  };
  static_assert(sizeof(Entry) == 64);
  std::vector<Entry> entries_;
};

}  // namespace embedpool::io::tokenizing
