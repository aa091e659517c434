#pragma once
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/tokenizer/bert_characters.hpp"
#include "embedpool/io/tokenizer/json_node.hpp"
#include "embedpool/io/tokenizer/tokenizer_parts.hpp"

namespace embedpool::io::tokenizing {

/// {"String": literal} or {"Regex": pattern}.
inline Pattern read_pattern(const JsonNode& owner, std::string_view key) {
  const JsonNode node = owner.object(key);
  if (node.has("String")) return node.string("String");
  if (!node.has("Regex")) owner.fail(key, "must have String or Regex");
  return node.made_at("Regex", [&] { return Regex(node.string("Regex")); });
}

inline SplitBehavior read_behavior(const JsonNode& node, std::string otherwise = "") {
  const std::string name = otherwise.empty() ? node.string("behavior") : node.string_or("behavior", std::move(otherwise));
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  node.fail("behavior", name + " is not supported");
}

inline void read_normalizer(const JsonNode& owner, std::string_view key, Normalizer& out);

inline void read_normalizer(const JsonNode& node, Normalizer& out) {
  const std::string type = node.type();
  auto& stages = out.stages;
  if (type == "Sequence") node.for_each("normalizers", [&](const JsonNode& part) { read_normalizer(part, out); });
  else if (type == "NFC") stages.emplace_back(ToNormalForm{NormalForm::nfc});
  else if (type == "NFD") stages.emplace_back(ToNormalForm{NormalForm::nfd});
  else if (type == "NFKC") stages.emplace_back(ToNormalForm{NormalForm::nfkc});
  else if (type == "NFKD") stages.emplace_back(ToNormalForm{NormalForm::nfkd});
  else if (type == "Lowercase") stages.emplace_back(Lowercase{});
  else if (type == "StripAccents") stages.emplace_back(StripAccents{});
  else if (type == "Prepend") stages.emplace_back(Prepend{node.string("prepend")});
  else if (type == "Replace") stages.emplace_back(Replace{read_pattern(node, "pattern"), node.string("content")});
  else if (type == "Strip") stages.emplace_back(Strip{node.boolean_or("strip_left", true), node.boolean_or("strip_right", true)});
  else if (type == "BertNormalizer") {
    const bool lower = node.boolean_or("lowercase", true);
    stages.emplace_back(BertNormalizer{node.boolean_or("clean_text", true), node.boolean_or("handle_chinese_chars", true),
                                       node.boolean_or("strip_accents", lower), lower});
  } else if (type == "Precompiled") {
    stages.emplace_back(node.made_at("precompiled_charsmap", [&] {
      return ApplyCharsmap{PrecompiledCharsmap(node.string("precompiled_charsmap"))};
    }));
  } else {
    node.refuse("normalizer");
  }
}
inline void read_normalizer(const JsonNode& owner, std::string_view key, Normalizer& out) {
  if (owner.has(key)) read_normalizer(owner.object(key), out);
}

/// prepend_scheme, or add_prefix_space as older files have it.
inline Metaspace read_metaspace(const JsonNode& node) {
  Metaspace space;
  space.replacement = node.string_or("replacement", space.replacement);
  if (space.replacement.empty()) node.fail("replacement", "must not be empty");
  const std::string scheme =
      node.string_or("prepend_scheme", node.boolean_or("add_prefix_space", true) ? "always" : "never");
  if (scheme == "always") space.prepend = Metaspace::Prepend::always;
  else if (scheme == "first") space.prepend = Metaspace::Prepend::first;
  else if (scheme == "never") space.prepend = Metaspace::Prepend::never;
  else node.fail("prepend_scheme", scheme + " is not supported");
  space.cut = node.boolean_or("split", true);
  return space;
}

inline void read_pre_tokenizer(const JsonNode& node, std::vector<PreTokenizerStage>& stages) {
  const std::string type = node.type();
  const auto at_white_space = SplitAtCharacters{is_whitespace, SplitBehavior::removed};
  if (type == "Sequence") {
    node.for_each("pretokenizers", [&](const JsonNode& part) { read_pre_tokenizer(part, stages); });
  } else if (type == "ByteLevel") {
    if (node.boolean_or("add_prefix_space", true)) stages.emplace_back(PrefixSpace{});
    if (node.boolean_or("use_regex", true)) stages.emplace_back(SplitAt{Regex(gpt2_pattern)});
    stages.emplace_back(ToByteAlphabet{});
  } else if (type == "Split") {
    stages.emplace_back(SplitAt{read_pattern(node, "pattern"), read_behavior(node), node.boolean_or("invert", false)});
  } else if (type == "CharDelimiterSplit") {
    stages.emplace_back(SplitAt{node.string("delimiter"), SplitBehavior::removed});
  } else if (type == "Digits") {
    const bool single = node.boolean_or("individual_digits", false);
    stages.emplace_back(SplitAtCharacters{is_numeric, single ? SplitBehavior::isolated : SplitBehavior::contiguous});
  } else if (type == "Punctuation") {
    stages.emplace_back(SplitAtCharacters{is_punctuation, read_behavior(node, "Isolated")});
  } else if (type == "Metaspace") {
    stages.emplace_back(read_metaspace(node));
  } else if (type == "Whitespace") {
    stages.emplace_back(WordsAndSymbols{});
  } else if (type == "WhitespaceSplit") {
    stages.emplace_back(at_white_space);
  } else if (type == "BertPreTokenizer") {
    stages.emplace_back(at_white_space);
    stages.emplace_back(SplitAtCharacters{is_punctuation, SplitBehavior::isolated});
  } else {
    node.refuse("pre-tokenizer");
  }
}
inline void read_pre_tokenizer(const JsonNode& owner, std::string_view key, std::vector<PreTokenizerStage>& stages) {
  if (owner.has(key)) read_pre_tokenizer(owner.object(key), stages);
}

inline void read_decoder(const JsonNode& node, std::vector<DecoderStage>& stages) {
  const std::string type = node.type();
  if (type == "Sequence") {
    node.for_each("decoders", [&](const JsonNode& part) { read_decoder(part, stages); });
  } else if (type == "ByteLevel") {
    stages.emplace_back(DecodeByteAlphabet{});
  } else if (type == "WordPiece") {
    stages.emplace_back(DecodeWordPiece{node.string_or("prefix", "##"), node.boolean_or("cleanup", true)});
  } else if (type == "Metaspace") {
    const Metaspace space = read_metaspace(node);
    stages.emplace_back(DecodeMetaspace{space.replacement, space.prepend != Metaspace::Prepend::never});
  } else if (type == "ByteFallback") {
    stages.emplace_back(DecodeByteFallback{});
  } else if (type == "Fuse") {
    stages.emplace_back(DecodeFuse{});
  } else if (type == "Replace") {
    stages.emplace_back(DecodeReplace{read_pattern(node, "pattern"), node.string("content")});
  } else if (type == "Strip") {
    const std::string content = node.string_or("content", " ");
    if (content.empty()) node.fail("content", "must not be empty");
    stages.emplace_back(DecodeStrip{content, node.integer_or("start", 0, 0, 1 << 20), node.integer_or("stop", 0, 0, 1 << 20)});
  } else if (type == "BPEDecoder") {
    stages.emplace_back(DecodeWordSuffix{node.string_or("suffix", "</w>")});
  } else {
    node.refuse("decoder");
  }
}
inline void read_decoder(const JsonNode& owner, std::string_view key, std::vector<DecoderStage>& stages) {
  if (owner.has(key)) read_decoder(owner.object(key), stages);
}

}  // namespace embedpool::io::tokenizing
