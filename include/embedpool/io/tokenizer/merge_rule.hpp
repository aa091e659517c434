#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

#include "embedpool/io/tokenizer/bpe.hpp"

namespace embedpool::io::tokenizing {

/// Adds one rule. Errors: std::invalid_argument when a side or the joined token is not in the vocabulary.
inline void add_merge(Bpe& bpe, const Vocabulary& vocabulary, std::string_view left, std::string_view right,
                      std::string_view prefix, std::size_t rank, bool last_wins) {
  const auto id_of = [&](std::string_view token) {
    const auto id = vocabulary.find(token);
    if (!id) throw std::invalid_argument("names \"" + std::string(token.substr(0, 60)) + "\", which is not in the vocabulary");
    return *id;
  };
  std::string joined(left);
  joined += right.substr(right.starts_with(prefix) ? prefix.size() : 0);
  bpe.add_merge(id_of(left), id_of(right), id_of(joined), static_cast<std::uint32_t>(rank), last_wins);
}

}  // namespace embedpool::io::tokenizing
