#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/bpe.hpp"
#include "embedpool/io/tokenizer/merge_neighbours.hpp"

namespace embedpool::io::tokenizing {

/// SentencePiece's byte-pair encoding: neighbours are joined when together they spell a token, the one with the best score
/// first, of equal ones the leftmost. What is no token in the end is spelled in byte tokens, or unknown.
///
/// Cost    O(n log n) for n characters
/// Source  google/sentencepiece: src/bpe_model.cc
class SentencePieceBpe {
 public:
  /// `joinable[id]`: the token may come out of a merge (control and unknown tokens may not).
  SentencePieceBpe(std::shared_ptr<const Vocabulary> vocabulary, std::vector<float> scores, const std::vector<bool>& joinable,
                   TokenId unknown)
      : fallback_(byte_fallback_ids(*vocabulary)), scores_(std::move(scores)), unknown_(unknown),
        tokens_(static_cast<std::size_t>(vocabulary->size())) {
    for (TokenId id = 0; id < vocabulary->size(); ++id) {
      const std::string_view token = vocabulary->token(id);
      if (token.empty() || !joinable[static_cast<std::size_t>(id)]) continue;
      tokens_.insert(token, static_cast<std::uint32_t>(id));
      longest_ = std::max(longest_, token.size());
    }
  }

  void encode(std::string_view text, std::vector<TokenId>& out, Scratch& scratch) const {
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t end = i + utf8_length(text[i]);
      const auto at = static_cast<std::int32_t>(symbols.size());
      symbols.push_back({id_of(text.substr(i, end - i)), static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(end), at - 1,
                         end < text.size() ? at + 1 : -1});
      i = end;
    }
    merge_neighbours(symbols, scratch.heap, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
      if (right.end - left.begin > longest_) return std::nullopt;
      const TokenId id = id_of(text.substr(left.begin, right.end - left.begin));
      if (id < 0) return std::nullopt;
      return Merge{rank(scores_[static_cast<std::size_t>(id)]), id};
    });
    for (std::int32_t i = symbols.empty() ? -1 : 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
      const Symbol& symbol = symbols[static_cast<std::size_t>(i)];
      if (symbol.id >= 0) out.push_back(symbol.id);
      else spell(text.substr(symbol.begin, symbol.end - symbol.begin), out);
    }
  }

 private:
  TokenId id_of(std::string_view text) const noexcept { return static_cast<TokenId>(tokens_.find(text)); }  // none is -1

  /// Orders scores from great to small as integers from small to great.
  static std::uint64_t rank(float score) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // no negative zero
    const std::uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return ~ascending;
  }
  void spell(std::string_view text, std::vector<TokenId>& out) const {
    const auto byte = [&](char c) { return fallback_[static_cast<unsigned char>(c)]; };
    if (std::any_of(text.begin(), text.end(), [&](char c) { return byte(c) < 0; })) return out.push_back(unknown_);
    for (const char c : text) out.push_back(byte(c));
  }

  std::array<TokenId, 256> fallback_;
  std::vector<float> scores_;
  TokenId unknown_;
  StringTable tokens_;
  std::size_t longest_ = 0;
};

}  // namespace embedpool::io::tokenizing
