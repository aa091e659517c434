#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/tokenizer/tokenizer.hpp"

namespace embedpool::io {

/// What a person wants to know about a tokenizer, as names and values.
inline std::vector<std::pair<std::string, std::string>> description_of(const Tokenizer& tokenizer) {
  const tokenizing::TokenizerParts& parts = tokenizer.parts();
  std::vector<std::pair<std::string, std::string>> lines;
  lines.emplace_back("model", parts.kind);
  if (!parts.pre_tokenizer_name.empty()) lines.emplace_back("pre-tokenizer", parts.pre_tokenizer_name);
  Index special = 0;
  for (const auto& [id, token] : parts.added) special += token.special ? 1 : 0;
  lines.emplace_back("tokens", std::to_string(tokenizer.size()) + ", " + std::to_string(special) + " of them special");
  const auto spelled = [&](TokenId id) { return std::string(tokenizer.token(id)) + " (" + std::to_string(id) + ")"; };
  const auto named = [&](const char* name, const std::optional<TokenId>& id) {
    if (id) lines.emplace_back(name, spelled(*id));
  };
  named("BOS", tokenizer.bos());
  named("EOS", tokenizer.eos());
  named("padding", tokenizer.pad());
  named("unknown", tokenizer.unknown());
  const auto listed = [&](const std::vector<TokenId>& ids) {
    std::string all;
    for (const TokenId id : ids) all += (all.empty() ? "" : ", ") + spelled(id);
    return all.empty() ? std::string("nothing") : all;
  };
  lines.emplace_back("added before a text", listed(tokenizer.prefix_ids()));
  lines.emplace_back("added after a text", listed(tokenizer.suffix_ids()));
  if (tokenizer.max_length())
    lines.emplace_back("truncation in the file", std::to_string(*tokenizer.max_length()) + " tokens");
  return lines;
}

}  // namespace embedpool::io
