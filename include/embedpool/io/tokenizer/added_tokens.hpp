#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/core/types.hpp"
#include "embedpool/io/tokenizer/byte_trie.hpp"
#include "embedpool/io/tokenizer/unicode.hpp"

namespace embedpool::io::tokenizing {

/// A token that is recognised in the text before anything else is done to it.
struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool special = false;      ///< has a meaning to the model, such as an end of text
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes white space on its left with it
  bool rstrip = false;       ///< takes white space on its right with it
  bool normalized = false;   ///< looked for in the normalized text
};

/// Finds added tokens: the leftmost, and of those the longest.
class AddedTokenMatcher {
 public:
  void add(std::string_view content, const AddedToken& token) {
    if (content.empty()) return;
    trie_.insert(content, static_cast<std::uint32_t>(tokens_.size()));
    tokens_.push_back(token);
    first_[static_cast<unsigned char>(content[0])] = true;
  }
  bool empty() const noexcept { return tokens_.empty(); }

  /// Calls text(part) and token(added token) for the parts of `whole` from left to right. Without `special`, special
  /// tokens that are written in the text are left as text.
  template <class OnText, class OnToken>
  void split(std::string_view whole, bool special, OnText on_text, OnToken on_token) const {
    std::size_t done = 0;
    if (!empty()) {
      for (std::size_t i = 0; i < whole.size();) {
        if (!first_[static_cast<unsigned char>(whole[i])]) {
          ++i;
          continue;
        }
        const AddedToken* found = nullptr;
        std::size_t end = 0;
        std::uint32_t node = ByteTrie::root;
        for (std::size_t k = i; k < whole.size() && (node = trie_.child(node, whole[k])) != ByteTrie::none; ++k) {
          const std::uint32_t value = trie_.value(node);
          if (value == ByteTrie::none) continue;
          found = &tokens_[value];
          end = k + 1;
        }
        if (found == nullptr) {
          ++i;
          continue;
        }
        const std::size_t match_end = end;
        std::size_t begin = i;
        i = match_end;
        if (found->special && !special) continue;
        if (found->single_word && (word_before(whole, begin) || word_after(whole, end))) continue;
        if (found->lstrip)
          while (begin > done && is_whitespace(before(whole, begin))) begin -= length_before(whole, begin);
        if (found->rstrip)
          while (end < whole.size() && is_whitespace(decode_utf8(whole, end).value)) end += utf8_length(whole[end]);
        if (begin < done) begin = done;
        if (done < begin) on_text(whole.substr(done, begin - done), done);
        on_token(*found);
        done = end > done ? end : done;
        if (i < done) i = done;
      }
    }
    if (done < whole.size()) on_text(whole.substr(done), done);
  }

 private:
  static std::size_t length_before(std::string_view text, std::size_t at) noexcept {
    std::size_t begin = at - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    return at - begin;
  }
  static char32_t before(std::string_view text, std::size_t at) noexcept {
    return decode_utf8(text, at - length_before(text, at)).value;
  }
  static bool word_before(std::string_view text, std::size_t at) noexcept { return at > 0 && is_word(before(text, at)); }
  static bool word_after(std::string_view text, std::size_t at) noexcept {
    return at < text.size() && is_word(decode_utf8(text, at).value);
  }

  ByteTrie trie_;
  std::vector<AddedToken> tokens_;
  std::array<bool, 256> first_{};
};

}  // namespace embedpool::io::tokenizing
