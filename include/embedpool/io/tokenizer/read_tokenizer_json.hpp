#pragma once
#include <stdexcept>
#include <string>

#include "embedpool/io/json.hpp"
#include "embedpool/io/tokenizer/read_json_model.hpp"
#include "embedpool/io/tokenizer/read_json_post_processor.hpp"
#include "embedpool/io/tokenizer/read_json_stages.hpp"
#include "embedpool/io/tokenizer/tokenizer_parts.hpp"

namespace embedpool::io::tokenizing {

/// added_tokens: content, id and how each is recognised. An id must be free, or be the one that the vocabulary gives.
inline void read_added_tokens(const JsonNode& file, TokenizerParts& parts) {
  if (!file.has("added_tokens")) return;
  const Index most = largest_id(parts.vocabulary->size() + static_cast<Index>(file.array("added_tokens").size()));
  StringTable names;
  file.for_each("added_tokens", [&](const JsonNode& token) {
    AddedToken added;
    added.content = token.string("content");
    added.id = static_cast<TokenId>(token.integer("id", 0, most));
    added.special = token.boolean_or("special", false);
    added.single_word = token.boolean_or("single_word", false);
    added.lstrip = token.boolean_or("lstrip", false);
    added.rstrip = token.boolean_or("rstrip", false);
    added.normalized = token.boolean_or("normalized", !added.special);
    const auto known = parts.vocabulary->find(added.content);
    if (known && *known != added.id)
      token.fail("id", "is " + std::to_string(added.id) + ", but the vocabulary gives \"" + added.content + "\" the id " +
                           std::to_string(*known));
    if (!known && parts.vocabulary->has(added.id))
      token.fail("id", std::to_string(added.id) + " is the id of \"" + std::string(parts.vocabulary->token(added.id)) + "\"");
    if (!names.insert(added.content, 0)) token.fail("content", "\"" + added.content + "\" stands twice");
    if (!parts.added.emplace(added.id, added).second) token.fail("id", std::to_string(added.id) + " is given to two tokens");
  });
}

/// Reads the text of a tokenizer.json.
///
/// Errors  FileError naming file, place and cause; a component that is not known is refused by its name
/// Source  huggingface/tokenizers: the serialized form of each component
inline TokenizerParts read_tokenizer_json(std::string_view text, const std::string& name) {
  const Json json = parse_json(text, name);
  const JsonNode file(json, name);
  TokenizerParts parts;
  parts.file = name;
  read_normalizer(file, "normalizer", parts.normalizer);
  read_pre_tokenizer(file, "pre_tokenizer", parts.pre_tokenizer);
  read_model(file.object("model"), parts);
  read_added_tokens(file, parts);
  read_post_processor(file, "post_processor", parts);
  read_decoder(file, "decoder", parts.decoder);
  parts.joined_by_spaces = !file.has("decoder");
  if (file.has("truncation")) parts.max_length = file.object("truncation").integer("max_length", 0, Index(1) << 40);
  return parts;
}

}  // namespace embedpool::io::tokenizing
