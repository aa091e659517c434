#pragma once
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/core/types.hpp"
#include "embedpool/io/tokenizer/string_table.hpp"

namespace embedpool::io::tokenizing {

/// The tokens of a tokenizer as its file spells them, by id and by name. Ids may have holes.
///
/// Errors  std::invalid_argument for an id or a name that is taken, and for ids far beyond the number of tokens
class Vocabulary {
 public:
  /// For about `expected` tokens; ids beyond 16 times that are the mark of a corrupt file.
  explicit Vocabulary(std::size_t expected) : ids_(expected), expected_(expected) {}

  void add(std::string_view token, Index id) {
    if (id < 0 || static_cast<std::size_t>(id) > 16 * expected_ + 65536)
      throw std::invalid_argument("id " + std::to_string(id) + " of token \"" + std::string(token.substr(0, 60)) +
                                  "\" is out of range");
    if (token.size() > 1u << 20) throw std::invalid_argument("token " + std::to_string(id) + " is longer than 1 MiB");
    const auto at = static_cast<std::size_t>(id);
    if (at >= tokens_.size()) tokens_.resize(at + 1);
    if (tokens_[at]) throw std::invalid_argument("id " + std::to_string(id) + " is given to two tokens");
    if (!ids_.insert(token, static_cast<std::uint32_t>(id)))
      throw std::invalid_argument("token \"" + std::string(token.substr(0, 60)) + "\" has two ids");
    tokens_[at] = std::string(token);
  }
  /// One more than the largest id.
  Index size() const noexcept { return static_cast<Index>(tokens_.size()); }

  std::optional<TokenId> find(std::string_view token) const noexcept {
    const std::uint32_t id = ids_.find(token);
    return id == StringTable::none ? std::nullopt : std::optional(static_cast<TokenId>(id));
  }
  bool has(Index id) const noexcept {
    return id >= 0 && id < size() && tokens_[static_cast<std::size_t>(id)].has_value();
  }
  /// The token's spelling; empty for a hole. `id` is in [0, size()).
  std::string_view token(TokenId id) const noexcept {
    const auto& token = tokens_[static_cast<std::size_t>(id)];
    return token ? std::string_view(*token) : std::string_view();
  }

 private:
  StringTable ids_;
  std::vector<std::optional<std::string>> tokens_;
  std::size_t expected_;
};

}  // namespace embedpool::io::tokenizing
