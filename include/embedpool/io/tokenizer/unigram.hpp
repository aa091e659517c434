#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/bpe.hpp"
#include "embedpool/io/tokenizer/byte_trie.hpp"

namespace embedpool::io::tokenizing {

/// Unigram language model: the segmentation with the greatest sum of token scores (Viterbi). A character that no token
/// covers costs 10 less than the worst token; neighbouring unknown characters become one unknown token, or are spelled in
/// byte tokens.
///
/// Source  Kudo 2018, arXiv:1804.10959; google/sentencepiece: src/unigram_model.cc
class Unigram {
 public:
  Unigram(std::shared_ptr<const Vocabulary> vocabulary, std::vector<double> scores, std::optional<TokenId> unknown,
          bool byte_fallback)
      : vocabulary_(std::move(vocabulary)), scores_(std::move(scores)), unknown_(unknown) {
    if (byte_fallback) fallback_ = byte_fallback_ids(*vocabulary_);
    for (TokenId id = 0; id < static_cast<TokenId>(scores_.size()); ++id)
      if (!vocabulary_->token(id).empty()) trie_.insert(vocabulary_->token(id), static_cast<std::uint32_t>(id));
    unknown_score_ = (scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end())) - 10;
  }

  /// Errors  TextError for a character outside the vocabulary when there is no unknown token
  void encode(std::string_view word, std::vector<TokenId>& out, Scratch& scratch) const {
    const TokenId uncovered = unknown_.value_or(-1);
    auto& reach = scratch.reach;
    reach.assign(word.size() + 1, {0, -1, -1});
    const auto offer = [&](std::size_t from, std::size_t to, double score, TokenId id) {
      if (reach[to].from < 0 || score > reach[to].score) reach[to] = {score, static_cast<std::int64_t>(from), id};
    };
    for (std::size_t i = 0; i < word.size();) {
      const double here = reach[i].score;
      const std::size_t character = utf8_length(word[i]);
      bool covered = false;
      std::uint32_t node = ByteTrie::root;
      for (std::size_t k = i; k < word.size() && (node = trie_.child(node, word[k])) != ByteTrie::none; ++k) {
        const std::uint32_t id = trie_.value(node);
        if (id == ByteTrie::none) continue;
        offer(i, k + 1, scores_[id] + here, static_cast<TokenId>(id));
        covered = covered || k + 1 - i == character;
      }
      if (!covered) {
        if (!unknown_) throw TextError("a character is not in the vocabulary, which has no unknown token,", i);
        offer(i, i + character, unknown_score_ + here, uncovered);
      }
      i += character;
    }
    auto& ids = scratch.ids;  // from right to left
    ids.clear();
    for (std::size_t end = word.size(); end > 0;) {
      std::size_t begin = end;
      TokenId id = reach[end].id;
      while (begin > 0 && reach[begin].id == uncovered) {
        begin = static_cast<std::size_t>(reach[begin].from);
        id = uncovered;
      }
      if (id == uncovered) {
        spell(word.substr(begin, end - begin), ids);
      } else {
        ids.push_back(id);
        begin = static_cast<std::size_t>(reach[end].from);
      }
      end = begin;
    }
    out.insert(out.end(), ids.rbegin(), ids.rend());
  }

 private:
  void spell(std::string_view text, std::vector<TokenId>& reversed) const {
    const auto id_of = [&](char c) { return fallback_ ? (*fallback_)[static_cast<unsigned char>(c)] : -1; };
    // Several unknown characters together may spell a token that a character-wise path had no use for.
    if (const auto whole = vocabulary_->find(text)) return reversed.push_back(*whole);
    if (std::any_of(text.begin(), text.end(), [&](char c) { return id_of(c) < 0; })) return reversed.push_back(*unknown_);
    for (auto c = text.rbegin(); c != text.rend(); ++c) reversed.push_back(id_of(*c));
  }

  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<double> scores_;
  std::optional<TokenId> unknown_;
  std::optional<std::array<TokenId, 256>> fallback_;
  double unknown_score_ = 0;
  ByteTrie trie_;
};

}  // namespace embedpool::io::tokenizing
