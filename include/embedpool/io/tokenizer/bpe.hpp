#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/byte_alphabet.hpp"
#include "embedpool/io/tokenizer/merge_rules.hpp"
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

/// Byte-pair encoding: a word is spelled in symbols (bytes or characters) that are tokens, which merge rules then join.
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

  /// The rules by which symbols are joined.
  MergeRules& merges() noexcept { return merges_; }

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
    merges_.apply(ids, scratch);
    out.insert(out.end(), ids.begin(), ids.end());
  }

 private:
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

  std::shared_ptr<const Vocabulary> vocabulary_;
  Options options_;
  MergeRules merges_;
  std::array<TokenId, 256> byte_ids_{};
  std::array<TokenId, 256> fallback_{};
  StringTable words_;
};

}  // namespace embedpool::io::tokenizing
