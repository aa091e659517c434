#pragma once
#include <string>
#include <vector>

#include "embedpool/io/tokenizer/json_node.hpp"
#include "embedpool/io/tokenizer/tokenizer_parts.hpp"

namespace embedpool::io::tokenizing {

inline bool is_token(const TokenizerParts& parts, Index id) {
  return parts.vocabulary->has(id) || parts.added.count(static_cast<TokenId>(id)) > 0;
}

/// One template: [{"SpecialToken": {"id", "type_id"}}, {"Sequence": {"id": "A", "type_id"}}, ...].
inline SpecialTemplate read_template(const JsonNode& node, std::string_view key, bool pair, const TokenizerParts& parts) {
  SpecialTemplate result;
  int firsts = 0, seconds = 0;
  node.for_each(key, [&](const JsonNode& item) {
    const bool special = item.has("SpecialToken");
    const JsonNode content = item.object(special ? "SpecialToken" : "Sequence");
    const auto type_id = static_cast<std::int32_t>(content.integer_or("type_id", 0, 0, 1 << 20));
    const std::string name = content.string("id");
    if (!special) {
      if (name != "A" && name != "B") content.fail("id", "must be A or B");
      (name == "A" ? firsts : seconds) += 1;
      result.items.push_back({name == "A" ? SpecialTemplate::Kind::first : SpecialTemplate::Kind::second, type_id, {}});
      return;
    }
    const JsonNode token = node.object("special_tokens").object(name);
    std::vector<TokenId> ids;
    for (const Json& id : token.array("ids")) {
      if (!id.is_number_integer() || id < 0 || id > 0x7FFFFFFF || !is_token(parts, id.get<Index>()))
        token.fail("ids", "has " + id.dump().substr(0, 40) + ", which is no token's id");
      ids.push_back(id.get<TokenId>());
    }
    result.items.push_back({SpecialTemplate::Kind::special, type_id, std::move(ids)});
  });
  if (firsts != 1 || seconds != (pair ? 1 : 0))
    node.fail(key, pair ? "must have A and B once each" : "must have A once and no B");
  return result;
}

/// ["[SEP]", 102]
inline TokenId read_named_token(const JsonNode& node, std::string_view key, const TokenizerParts& parts) {
  const Json& pair = node.array(key);
  if (pair.size() != 2 || !pair[1].is_number_integer() || pair[1] < 0 || pair[1] > 0x7FFFFFFF ||
      !is_token(parts, pair[1].get<Index>()))
    node.fail(key, "must be a token and its id");
  return pair[1].get<TokenId>();
}

/// At most one part of a sequence may add tokens; ByteLevel adds none.
inline void read_post_processor(const JsonNode& node, TokenizerParts& parts, bool& adds) {
  const std::string type = node.type();
  if (type == "Sequence") {
    node.for_each("processors", [&](const JsonNode& part) { read_post_processor(part, parts, adds); });
    return;
  }
  if (type == "ByteLevel") return;
  if (adds) node.refuse("a second post-processor that adds tokens:");
  adds = true;
  using Kind = SpecialTemplate::Kind;
  if (type == "TemplateProcessing") {
    parts.single = read_template(node, "single", false, parts);
    parts.pair = read_template(node, "pair", true, parts);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    const TokenId cls = read_named_token(node, "cls", parts), sep = read_named_token(node, "sep", parts);
    const bool roberta = type == "RobertaProcessing";
    const std::int32_t second = roberta ? 0 : 1;
    parts.single = {{{Kind::special, 0, {cls}}, {Kind::first, 0, {}}, {Kind::special, 0, {sep}}}};
    parts.pair = parts.single;
    if (roberta) parts.pair.items.push_back({Kind::special, 0, {sep}});
    parts.pair.items.push_back({Kind::second, second, {}});
    parts.pair.items.push_back({Kind::special, second, {sep}});
  } else {
    node.refuse("post-processor");
  }
}
inline void read_post_processor(const JsonNode& owner, std::string_view key, TokenizerParts& parts) {
  bool adds = false;
  if (owner.has(key)) read_post_processor(owner.object(key), parts, adds);
}

}  // namespace embedpool::io::tokenizing
