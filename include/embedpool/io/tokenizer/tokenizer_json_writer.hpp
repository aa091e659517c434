#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <variant>

#include "embedpool/io/json.hpp"
#include "embedpool/io/tokenizer/read_tokenizer_gguf.hpp"

namespace embedpool::io {

namespace tokenizing {

inline std::string spelling(const TokenizerParts& parts, TokenId id) {
  return std::string(parts.vocabulary->has(id) ? parts.vocabulary->token(id) : std::string_view(parts.added.at(id).content));
}

/// {"single": [...], "pair": [...], "special_tokens": {...}}, or null where nothing is put around a text.
inline Json template_json(const TokenizerParts& parts) {
  using Kind = SpecialTemplate::Kind;
  if (parts.single.added() == 0 && parts.pair.added() == 0) return nullptr;
  Json special = Json::object();
  const auto items = [&](const SpecialTemplate& form) {
    Json list = Json::array();
    for (const auto& item : form.items) {
      if (item.kind != Kind::special) {
        list.push_back({{"Sequence", {{"id", item.kind == Kind::first ? "A" : "B"}, {"type_id", item.type_id}}}});
        continue;
      }
      const std::string name = spelling(parts, item.ids.front());
      special[name] = {{"id", name}, {"ids", {item.ids.front()}}, {"tokens", {name}}};
      list.push_back({{"SpecialToken", {{"id", name}, {"type_id", item.type_id}}}});
    }
    return list;
  };
  Json single = items(parts.single), pair = items(parts.pair);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

/// The cuts of a byte-level tokenizer, and the byte alphabet behind them.
/// Errors: FileError for a space in front of the text before cuts that ByteLevel does not make itself.
inline Json byte_level_cuts(const TokenizerParts& parts) {
  const auto byte_level = [](bool space, bool cut) {
    return Json{{"type", "ByteLevel"}, {"add_prefix_space", space}, {"trim_offsets", true}, {"use_regex", cut}};
  };
  Json list = Json::array();
  bool space = false, other = false;
  for (const PreTokenizerStage& stage : parts.pre_tokenizer) {
    if (std::holds_alternative<PrefixSpace>(stage)) {
      space = true;
      continue;
    }
    const std::string& pattern = std::get<Regex>(std::get<SplitAt>(stage).pattern).source();
    other |= pattern != gpt2_pattern || !list.empty();
    list.push_back({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  if (!other) return byte_level(space, true);
  if (space)
    throw FileError(parts.file, "tokenizer.ggml.add_space_prefix",
                    "cannot be stated in a tokenizer.json with the cuts of '" + parts.pre_tokenizer_name + "'");
  list.push_back(byte_level(false, false));
  return {{"type", "Sequence"}, {"pretokenizers", list}};
}

/// ["a b", ...] as every version of the tokenizers library reads it, or [["a", "b"], ...] where a token has a space in
/// it. Of rules that come twice the first counts, as it does in GGUF files.
inline Json merges_json(const std::vector<std::string_view>& merges) {
  const bool plain = std::all_of(merges.begin(), merges.end(), [](std::string_view merge) {
    return merge.find(' ') != 0 && merge.find(' ') == merge.rfind(' ');
  });
  Json list = Json::array();
  std::unordered_set<std::string_view> seen;
  for (const std::string_view merge : merges) {
    if (!seen.insert(merge).second) continue;
    const auto space = merge.find(' ', 1);
    if (plain) list.push_back(merge);
    else list.push_back(Json::array({merge.substr(0, space), merge.substr(space + 1)}));
  }
  return list;
}

}  // namespace tokenizing

/// tokenizer.json and tokenizer_config.json of the Hugging Face tokenizer that cuts texts as a GGUF file says.
struct HuggingFaceTokenizer {
  Json tokenizer, config;
};

/// Byte-level BPE (tokenizer.ggml.model gpt2) of every pre-tokenizer that Tokenizer::from_gguf knows.
///
/// Errors  FileError naming file, key and cause: those of Tokenizer::from_gguf; another model, whose rules tokenizer.json
///         states otherwise
inline HuggingFaceTokenizer hugging_face_tokenizer(const GgufFile& file) {
  using namespace tokenizing;
  const TokenizerParts parts = GgufTokenizerReader(file).read();
  if (const std::string model = file.string("tokenizer.ggml.model"); model != "gpt2")
    file.fail("tokenizer.ggml.model", "a tokenizer.json is made for gpt2 only, this is '" + model.substr(0, 60) + "'");
  Json vocabulary = Json::object(), added = Json::array(), added_by_id = Json::object();
  for (TokenId id = 0; id < parts.vocabulary->size(); ++id) vocabulary[std::string(parts.vocabulary->token(id))] = id;
  for (const auto& [id, token] : parts.added) {
    Json flags = {{"content", token.content}, {"single_word", token.single_word}, {"lstrip", token.lstrip},
                  {"rstrip", token.rstrip}, {"normalized", token.normalized}, {"special", token.special}};
    added_by_id[std::to_string(id)] = flags;
    flags["id"] = id;
    added.push_back(std::move(flags));
  }
  HuggingFaceTokenizer result;
  result.tokenizer = {
      {"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}, {"normalizer", nullptr},
      {"pre_tokenizer", byte_level_cuts(parts)}, {"post_processor", template_json(parts)},
      {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}}},
      {"model", {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr},
                 {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr}, {"fuse_unk", false},
                 {"byte_fallback", false}, {"ignore_merges", gguf_pattern(parts.pre_tokenizer_name)->ignore_merges},
                 {"vocab", vocabulary}, {"merges", merges_json(file.strings("tokenizer.ggml.merges"))}}}};
  // The class that takes tokenizer.json as it is; those of families put their own cuts in its place.
  result.config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false},
                   {"added_tokens_decoder", added_by_id}};
  for (const auto& [key, id] : {std::pair{"bos_token", parts.bos}, {"eos_token", parts.eos}, {"pad_token", parts.pad},
                                {"unk_token", parts.unknown}})
    if (id) result.config[key] = spelling(parts, *id);
  const std::string length = file.string_or("general.architecture", "") + ".context_length";
  if (file.has(length)) result.config["model_max_length"] = file.integer(length, 0, Index(1) << 40);
  if (file.has("tokenizer.chat_template")) result.config["chat_template"] = file.string("tokenizer.chat_template");
  return result;
}

}  // namespace embedpool::io
