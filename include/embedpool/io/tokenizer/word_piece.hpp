#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/scratch.hpp"
#include "embedpool/io/tokenizer/utf8.hpp"
#include "embedpool/io/tokenizer/vocabulary.hpp"

namespace embedpool::io::tokenizing {

/// WordPiece: the longest token that begins the word, then again for the rest, whose tokens carry a prefix ("##"). A word
/// that cannot be covered, or has more than max_characters, is one unknown token.
class WordPiece {
 public:
  WordPiece(std::shared_ptr<const Vocabulary> vocabulary, TokenId unknown, std::string_view prefix, std::size_t max_characters)
      : vocabulary_(std::move(vocabulary)), unknown_(unknown), max_characters_(max_characters) {
    for (TokenId id = 0; id < vocabulary_->size(); ++id) {
      const std::string_view token = vocabulary_->token(id);
      longest_ = std::max(longest_, token.size());
      if (token.size() > prefix.size() && token.starts_with(prefix))
        rests_.insert(token.substr(prefix.size()), static_cast<std::uint32_t>(id));
    }
  }

  void encode(std::string_view word, std::vector<TokenId>& out, Scratch&) const {
    const std::size_t kept = out.size();
    std::size_t characters = 0;
    for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    bool covered = characters <= max_characters_;
    for (std::size_t begin = 0; covered && begin < word.size();) {
      std::size_t end = std::min(word.size(), begin + longest_);
      covered = false;
      for (; end > begin; --end) {
        if (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) continue;  // inside a character
        const std::uint32_t id = find(word.substr(begin, end - begin), begin > 0);
        if (id == StringTable::none) continue;
        out.push_back(static_cast<TokenId>(id));
        covered = true;
        break;
      }
      begin = end;
    }
    if (covered) return;
    out.resize(kept);
    out.push_back(unknown_);
  }

 private:
  std::uint32_t find(std::string_view part, bool rest) const noexcept {
    if (rest) return rests_.find(part);
    const auto id = vocabulary_->find(part);
    return id ? static_cast<std::uint32_t>(*id) : StringTable::none;
  }

  std::shared_ptr<const Vocabulary> vocabulary_;
  StringTable rests_;  // tokens with the prefix, without it
  TokenId unknown_;
  std::size_t max_characters_;
  std::size_t longest_ = 0;
};

/// Every word is a token or unknown.
class WordLevel {
 public:
  WordLevel(std::shared_ptr<const Vocabulary> vocabulary, TokenId unknown)
      : vocabulary_(std::move(vocabulary)), unknown_(unknown) {}

  void encode(std::string_view word, std::vector<TokenId>& out, Scratch&) const {
    out.push_back(vocabulary_->find(word).value_or(unknown_));
  }

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  TokenId unknown_;
};

}  // namespace embedpool::io::tokenizing
