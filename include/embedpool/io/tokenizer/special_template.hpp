#pragma once
#include <algorithm>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool::io::tokenizing {

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

  static SpecialTemplate single_plain() { return {{{Kind::first, 0, {}}}}; }
  static SpecialTemplate pair_plain() { return {{{Kind::first, 0, {}}, {Kind::second, 1, {}}}}; }
};

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

}  // namespace embedpool::io::tokenizing
