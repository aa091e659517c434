#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/types.hpp"

namespace embedpool::io {

/// Ids of a text (or pair) with its special tokens, and to which text each belongs (token type ids).
struct TokenizerEncoding {
  std::vector<TokenId> ids;
  std::vector<std::int32_t> type_ids;
};

namespace tokenizing {

/// Lengths to which a pair is cut so that together it has at most `room` tokens: the longer gives way first; when both are
/// longer than half, the first gets room / 2.
struct PairLengths {
  std::size_t first;
  std::size_t second;

  static PairLengths longest_first(std::size_t first, std::size_t second, std::size_t room) {
    std::size_t shorter = std::min(first, second), longer = std::max(first, second);
    if (shorter + longer > room) {
      longer = shorter > room ? shorter : std::max(shorter, room - shorter);
      if (shorter + longer > room) {
        shorter = room / 2;
        longer = shorter + room % 2;
      }
      if (first > second) return {longer, shorter};
      return {shorter, longer};
    }
    return {first, second};
  }
};

/// How the special tokens stand around one text or a pair of texts.
struct SpecialTemplate {
  enum class Kind { first, second, special };
  struct Item {
    Kind kind;
    std::int32_t type_id;
    std::vector<TokenId> ids;  ///< of a special item
  };
  std::vector<Item> items;

  /// How many tokens are added to those of the texts.
  Index added() const noexcept {
    Index count = 0;
    for (const Item& item : items) count += static_cast<Index>(item.ids.size());
    return count;
  }
  /// The special tokens before (or, with `behind`, after) the first text.
  std::vector<TokenId> around(bool behind) const {
    std::vector<TokenId> ids;
    bool passed = false;
    for (const Item& item : items) {
      if (item.kind == Kind::first) passed = true;
      else if (passed == behind) ids.insert(ids.end(), item.ids.begin(), item.ids.end());
    }
    return ids;
  }

  /// The ids of the texts with the special tokens, at most `max_length` in all: the texts are cut, the longer one first.
  /// Errors: ShapeError when max_length has no room for the special tokens.
  TokenizerEncoding encoding(std::vector<TokenId> first_text, std::vector<TokenId> second_text,
                             std::optional<Index> max_length) const {
    if (max_length) {
      require_in("tokenizer", "max_length", *max_length, added(), std::numeric_limits<Index>::max());
      const auto lengths = PairLengths::longest_first(first_text.size(), second_text.size(),
                                                      static_cast<std::size_t>(*max_length - added()));
      first_text.resize(lengths.first);
      second_text.resize(lengths.second);
    }
    TokenizerEncoding out;
    for (const Item& item : items) {
      const auto& ids = item.kind == Kind::first ? first_text : item.kind == Kind::second ? second_text : item.ids;
      out.ids.insert(out.ids.end(), ids.begin(), ids.end());
      out.type_ids.insert(out.type_ids.end(), ids.size(), item.type_id);
    }
    return out;
  }

  static SpecialTemplate single_plain() { return {{{Kind::first, 0, {}}}}; }
  static SpecialTemplate pair_plain() { return {{{Kind::first, 0, {}}, {Kind::second, 1, {}}}}; }
};

}  // namespace tokenizing
}  // namespace embedpool::io
