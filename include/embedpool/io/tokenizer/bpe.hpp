#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/byte_alphabet.hpp"
#include "embedpool/io/tokenizer/flat_map.hpp"
#include "embedpool/io/tokenizer/scratch.hpp"
#include "embedpool/io/tokenizer/vocabulary.hpp"

namespace embedpool::io::tokenizing {

/// The ids of <0x00> ... <0xFF>, with which text outside the vocabulary is spelled; -1 where the vocabulary lacks one.
inline std::array<TokenId, 256> byte_fallback_ids(const Vocabulary& vocabulary) {
  std::array<TokenId, 256> ids{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const char name[] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
    ids[byte] = vocabulary.find({name, sizeof name}).value_or(-1);
  }
  return ids;
}

/// Byte-pair encoding by merge rules: of all neighbours that a rule joins, the pair of the earliest rule is joined first,
/// and of equal ones the leftmost, until no rule applies.
///
/// Words of up to 32 symbols are merged by scanning; longer ones with a heap, in O(n log n).
class Bpe {
 public:
  struct Options {
    bool bytes = false;          ///< symbols are bytes (the vocabulary spells them in the byte alphabet), else characters
    bool ignore_merges = false;  ///< a word that is a token needs no merging
    bool byte_fallback = false;  ///< characters outside the vocabulary are spelled in byte tokens
    bool fuse_unknown = false;   ///< neighbouring unknown characters become one unknown token
    std::optional<TokenId> unknown;
    std::string continuing_prefix;  ///< spelled before every symbol of a word but the first
    std::string word_suffix;        ///< spelled after the last symbol of a word
  };

  Bpe(std::shared_ptr<const Vocabulary> vocabulary, Options options, std::size_t expected_merges)
      : vocabulary_(std::move(vocabulary)), options_(std::move(options)), merges_(expected_merges) {
    if (options_.byte_fallback) fallback_ = byte_fallback_ids(*vocabulary_);
    if (!options_.bytes) return;
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::string character;
      append_utf8(character, ByteAlphabet::character(static_cast<unsigned char>(byte)));
      byte_ids_[byte] = vocabulary_->find(character).value_or(-1);
    }
    if (options_.ignore_merges) {
      words_ = StringTable(static_cast<std::size_t>(vocabulary_->size()));
      for (TokenId id = 0; id < vocabulary_->size(); ++id) {
        if (!vocabulary_->has(id)) continue;
        const auto word = ByteAlphabet::decode(vocabulary_->token(id));
        if (word) words_.insert(*word, static_cast<std::uint32_t>(id));
      }
    }
  }

  /// Adds the rule that joins two tokens into a third; `rank` grows from rule to rule. A pair that comes again takes the
  /// later rank when `last_wins`.
  void add_merge(TokenId left, TokenId right, TokenId joined, std::uint32_t rank, bool last_wins) {
    const std::uint64_t value = static_cast<std::uint64_t>(rank) << 32 | static_cast<std::uint32_t>(joined);
    if (last_wins) merges_.assign(pair(left, right), value);
    else merges_.insert(pair(left, right), value);
  }
  std::size_t merges() const noexcept { return merges_.size(); }

  /// Appends the ids of one word.
  void encode(std::string_view word, std::vector<TokenId>& out, Scratch& scratch) const {
    if (options_.ignore_merges) {
      const std::uint32_t id = options_.bytes ? words_.find(word) : whole(word);
      if (id != StringTable::none) return out.push_back(static_cast<TokenId>(id));
    }
    std::vector<TokenId>& ids = scratch.ids;
    ids.clear();
    if (options_.bytes) spell_bytes(word, ids);
    else spell_characters(word, ids, scratch.key);
    if (ids.size() <= short_word) merge_scanning(ids);
    else merge_with_heap(ids, scratch);
    out.insert(out.end(), ids.begin(), ids.end());
  }

 private:
  static constexpr std::size_t short_word = 32;

  static std::uint64_t pair(TokenId left, TokenId right) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }
  std::uint32_t whole(std::string_view word) const noexcept {
    const auto id = vocabulary_->find(word);
    return id ? static_cast<std::uint32_t>(*id) : StringTable::none;
  }

  void spell_bytes(std::string_view word, std::vector<TokenId>& ids) const {
    bool unknown_before = false;
    for (const char c : word) {
      const TokenId id = byte_ids_[static_cast<unsigned char>(c)];
      if (id >= 0) ids.push_back(id);
      else if (options_.unknown && !(unknown_before && options_.fuse_unknown)) ids.push_back(*options_.unknown);
      unknown_before = id < 0;
    }
  }

  void spell_characters(std::string_view word, std::vector<TokenId>& ids, std::string& key) const {
    const bool plain = options_.continuing_prefix.empty() && options_.word_suffix.empty();
    bool unknown_before = false;
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t bytes = utf8_length(word[i]);
      std::string_view spelling = word.substr(i, bytes);
      if (!plain) {
        key.assign(i > 0 ? options_.continuing_prefix : std::string()).append(spelling);
        if (i + bytes == word.size()) key += options_.word_suffix;
        spelling = key;
      }
      i += bytes;
      const auto id = vocabulary_->find(spelling);
      if (id) {
        ids.push_back(*id);
      } else if (options_.byte_fallback && spell_fallback(spelling, ids)) {
      } else if (options_.unknown) {
        if (!(unknown_before && options_.fuse_unknown)) ids.push_back(*options_.unknown);
        unknown_before = true;
        continue;
      }
      unknown_before = false;
    }
  }
  bool spell_fallback(std::string_view spelling, std::vector<TokenId>& ids) const {
    const auto id_of = [&](char c) { return fallback_[static_cast<unsigned char>(c)]; };
    if (std::any_of(spelling.begin(), spelling.end(), [&](char c) { return id_of(c) < 0; })) return false;
    for (const char c : spelling) ids.push_back(id_of(c));
    return true;
  }

  void merge_scanning(std::vector<TokenId>& ids) const {
    std::array<std::uint64_t, short_word> rules;  // rules[i] joins ids[i] and ids[i + 1]: rank, then the joined id
    std::size_t n = ids.size();
    for (std::size_t i = 0; i + 1 < n; ++i) rules[i] = merges_.find(pair(ids[i], ids[i + 1]));
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
      if (best > 0) rules[best - 1] = merges_.find(pair(ids[best - 1], ids[best]));
      if (best + 1 < n) rules[best] = merges_.find(pair(ids[best], ids[best + 1]));
    }
    ids.resize(n);
  }

  void merge_with_heap(std::vector<TokenId>& ids, Scratch& scratch) const {
    auto& symbols = scratch.symbols;
    auto& heap = scratch.heap;
    symbols.clear();
    heap.clear();
    const auto n = static_cast<std::int32_t>(ids.size());
    for (std::int32_t i = 0; i < n; ++i) symbols.push_back({ids[static_cast<std::size_t>(i)], 0, 1, i - 1, i + 1 < n ? i + 1 : -1});
    const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
    const auto candidate = [&](std::int32_t left, std::int32_t right) {
      if (left < 0 || right < 0) return false;
      const std::uint64_t rule = merges_.find(pair(at(left).id, at(right).id));
      if (rule == FlatMap::absent) return false;
      heap.push_back({rule >> 32, left, right, static_cast<std::uint32_t>(at(left).id), static_cast<std::uint32_t>(at(right).id),
                      static_cast<TokenId>(static_cast<std::uint32_t>(rule))});
      return true;
    };
    for (std::int32_t i = 0; i + 1 < n; ++i) candidate(i, i + 1);
    std::make_heap(heap.begin(), heap.end());
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end());
      const Candidate best = heap.back();
      heap.pop_back();
      Symbol& left = at(best.left);
      Symbol& right = at(best.right);
      if (left.end == 0 || right.end == 0 || left.next != best.right || left.id != static_cast<TokenId>(best.left_state) ||
          right.id != static_cast<TokenId>(best.right_state))
        continue;
      left.id = best.id;
      left.next = right.next;
      right.end = 0;
      if (right.next >= 0) at(right.next).previous = best.left;
      if (candidate(left.previous, best.left)) std::push_heap(heap.begin(), heap.end());
      if (candidate(best.left, left.next)) std::push_heap(heap.begin(), heap.end());
    }
    ids.clear();
    for (std::int32_t i = n > 0 ? 0 : -1; i >= 0; i = at(i).next) ids.push_back(at(i).id);
  }

  std::shared_ptr<const Vocabulary> vocabulary_;
  Options options_;
  FlatMap merges_;
  std::array<TokenId, 256> byte_ids_{};
  std::array<TokenId, 256> fallback_{};
  StringTable words_;
};

}  // namespace embedpool::io::tokenizing
