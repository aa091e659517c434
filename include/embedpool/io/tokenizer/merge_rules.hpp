#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/flat_map.hpp"
#include "embedpool/io/tokenizer/merge_neighbours.hpp"
#include "embedpool/io/tokenizer/vocabulary.hpp"

namespace embedpool::io::tokenizing {

/// The merge rules of byte-pair encoding: of all neighbours that a rule joins, the pair of the earliest rule is joined
/// first, and of equal ones the leftmost, until no rule applies.
///
/// Cost  words of up to 32 symbols are merged by scanning; longer ones with a heap, in O(n log n)
class MergeRules {
 public:
  explicit MergeRules(std::size_t expected) : rules_(expected) {}

  /// Adds the rule that joins two tokens into a third; `rank` grows from rule to rule. A pair that comes again takes the
  /// later rank when `last_wins`.
  void add(TokenId left, TokenId right, TokenId joined, std::uint32_t rank, bool last_wins) {
    const std::uint64_t value = static_cast<std::uint64_t>(rank) << 32 | static_cast<std::uint32_t>(joined);
    if (last_wins) rules_.assign(pair(left, right), value);
    else rules_.insert(pair(left, right), value);
  }
  /// The rule for tokens by their spelling; a joined token spells `prefix`, which continues words, once.
  /// Errors  std::invalid_argument when a side or the joined token is not in the vocabulary
  void add(const Vocabulary& vocabulary, std::string_view left, std::string_view right, std::string_view prefix,
           std::size_t rank, bool last_wins) {
    const auto id_of = [&](std::string_view token) {
      const auto id = vocabulary.find(token);
      if (!id) throw std::invalid_argument("names \"" + std::string(token.substr(0, 60)) + "\", which is not in the vocabulary");
      return *id;
    };
    std::string joined(left);
    joined += right.substr(right.starts_with(prefix) ? prefix.size() : 0);
    add(id_of(left), id_of(right), id_of(joined), static_cast<std::uint32_t>(rank), last_wins);
  }

  /// Joins the symbols of one word.
  void apply(std::vector<TokenId>& ids, Scratch& scratch) const {
    if (ids.size() <= short_word) merge_scanning(ids);
    else merge_with_heap(ids, scratch);
  }

 private:
  static constexpr std::size_t short_word = 32;

  static std::uint64_t pair(TokenId left, TokenId right) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }

  void merge_scanning(std::vector<TokenId>& ids) const {
    std::array<std::uint64_t, short_word> rules;  // rules[i] joins ids[i] and ids[i + 1]: rank, then the joined id
    std::size_t n = ids.size();
    for (std::size_t i = 0; i + 1 < n; ++i) rules[i] = rules_.find(pair(ids[i], ids[i + 1]));
    while (n > 1) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < n; ++i)
        if (rules[i] < rules[best]) best = i;
      if (rules[best] == FlatMap::absent) break;
      ids[best] = static_cast<TokenId>(static_cast<std::uint32_t>(rules[best]));
      for (std::size_t i = best + 1; i + 1 < n; ++i) {
        ids[i] = ids[i + 1];
        rules[i - 1] = rules[i];
      }
      --n;
      if (best > 0) rules[best - 1] = rules_.find(pair(ids[best - 1], ids[best]));
      if (best + 1 < n) rules[best] = rules_.find(pair(ids[best], ids[best + 1]));
    }
    ids.resize(n);
  }

  void merge_with_heap(std::vector<TokenId>& ids, Scratch& scratch) const {
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    const auto n = static_cast<std::int32_t>(ids.size());
    for (std::int32_t i = 0; i < n; ++i) {
      const auto begin = static_cast<std::uint32_t>(i);
      symbols.push_back({ids[begin], begin, begin + 1, i - 1, i + 1 < n ? i + 1 : -1});
    }
    merge_neighbours(symbols, scratch.heap, [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
      const std::uint64_t rule = rules_.find(pair(left.id, right.id));
      if (rule == FlatMap::absent) return std::nullopt;
      return Merge{rule >> 32, static_cast<TokenId>(static_cast<std::uint32_t>(rule))};
    });
    ids.clear();
    for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next)
      ids.push_back(symbols[static_cast<std::size_t>(i)].id);
  }

  FlatMap rules_;  // by pair: the rank in the upper half, the joined token in the lower
};

}  // namespace embedpool::io::tokenizing
