#pragma once
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/gguf.hpp"
#include "embedpool/io/tokenizer/gguf_patterns.hpp"
#include "embedpool/io/tokenizer/tokenizer_parts.hpp"

namespace embedpool::io::tokenizing {

/// Reads the tokenizer from the metadata of a GGUF file, its tokens under tokenizer.ggml: model gpt2 (byte-level BPE, cut
/// as tokenizer.ggml.pre says) or llama (SentencePiece BPE by scores).
///
/// Errors  FileError naming file, key and cause; other models and unknown `pre` are refused by name
class GgufTokenizerReader {
 public:
  explicit GgufTokenizerReader(const GgufFile& file) : file_(file) {}

  TokenizerParts read() {
    parts_.file = file_.name();
    const std::string model = file_.string("tokenizer.ggml.model");
    if (model != "gpt2" && model != "llama")
      file_.fail("tokenizer.ggml.model", "\"" + model.substr(0, 60) + "\" is not supported (gpt2 and llama are)");
    read_tokens();
    read_named_tokens();
    if (model == "gpt2") read_byte_level();
    else read_sentence_piece();
    read_special_template();
    return std::move(parts_);
  }

 private:
  enum Type : std::int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

  void read_tokens() {
    constexpr const char* key = "tokenizer.ggml.tokens";
    const auto& tokens = file_.strings(key);
    if (tokens.empty()) file_.fail(key, "must not be empty");
    if (file_.has("tokenizer.ggml.token_type")) types_ = file_.integers("tokenizer.ggml.token_type");
    else types_.assign(tokens.size(), normal);
    if (types_.size() != tokens.size())
      file_.fail("tokenizer.ggml.token_type",
                 "has " + std::to_string(types_.size()) + " entries for " + std::to_string(tokens.size()) + " tokens");
    auto vocabulary = std::make_shared<Vocabulary>(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      if (first_invalid_utf8(tokens[i]) != std::string_view::npos) file_.fail(key, "token " + std::to_string(i) + " is not UTF-8");
      try {
        vocabulary->add(tokens[i], id);
      } catch (const std::invalid_argument& error) {
        file_.fail(key, error.what());
      }
      if (types_[i] < 0 || types_[i] > byte)
        file_.fail("tokenizer.ggml.token_type", "of token " + std::to_string(i) + " is " + std::to_string(types_[i]));
      if (types_[i] == control || types_[i] == unknown || types_[i] == user_defined) add(id, types_[i] != user_defined);
    }
    parts_.vocabulary = std::move(vocabulary);
  }
  void add(TokenId id, bool special) {
    const auto& tokens = file_.strings("tokenizer.ggml.tokens");
    AddedToken token;
    token.content = std::string(tokens[static_cast<std::size_t>(id)]);
    token.id = id;
    token.special = special;
    parts_.added.emplace(id, std::move(token));
  }

  std::optional<TokenId> named(const std::string& key) const {
    if (!file_.has(key)) return std::nullopt;
    return static_cast<TokenId>(file_.integer(key, 0, parts_.vocabulary->size() - 1));
  }
  void read_named_tokens() {
    parts_.bos = named("tokenizer.ggml.bos_token_id");
    parts_.eos = named("tokenizer.ggml.eos_token_id");
    parts_.pad = named("tokenizer.ggml.padding_token_id");
    parts_.unknown = named("tokenizer.ggml.unknown_token_id");
    // Without types, at least the tokens that the file names are known to be special.
    if (file_.has("tokenizer.ggml.token_type")) return;
    for (const auto& id : {parts_.bos, parts_.eos, parts_.pad})
      if (id) add(*id, true);
  }

  void read_byte_level() {
    const std::string pre = file_.string_or("tokenizer.ggml.pre", "default");
    const auto pattern = gguf_pattern(pre);
    if (!pattern) file_.fail("tokenizer.ggml.pre", "\"" + pre.substr(0, 60) + "\" is not a known pre-tokenizer");
    parts_.pre_tokenizer_name = pre;
    parts_.kind = "BPE, byte level";
    add_bos_ = pattern->add_bos;
    if (file_.boolean_or("tokenizer.ggml.add_space_prefix", false)) parts_.pre_tokenizer.emplace_back(PrefixSpace{});
    for (const char* source : pattern->patterns) parts_.pre_tokenizer.emplace_back(SplitAt{Regex(source)});
    Bpe::Options options;
    options.bytes = true;
    options.ignore_merges = pattern->ignore_merges;
    // A byte that is no token is left out, whatever the file calls its unknown token, as Hugging Face tokenizers and
    // llama.cpp do: SmolLM2, say, lacks some control characters.
    const auto& merges = file_.strings("tokenizer.ggml.merges");
    Bpe bpe(parts_.vocabulary, options, merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const std::string place = "merge " + std::to_string(rank);
      // The separator is the first space after the first character, which may itself be one.
      const auto space = merges[rank].find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merges[rank].size())
        file_.fail("tokenizer.ggml.merges", place + " must be two tokens");
      try {
        bpe.merges().add(*parts_.vocabulary, merges[rank].substr(0, space), merges[rank].substr(space + 1), "", rank, false);
      } catch (const std::invalid_argument& error) {
        file_.fail("tokenizer.ggml.merges", place + " " + error.what());
      }
    }
    parts_.model.emplace(std::move(bpe));
    parts_.decoder.emplace_back(DecodeByteAlphabet{});
  }

  void read_sentence_piece() {
    constexpr const char* key = "tokenizer.ggml.scores";
    const auto& scores = file_.numbers(key);
    if (scores.size() != types_.size())
      file_.fail(key, "has " + std::to_string(scores.size()) + " entries for " + std::to_string(types_.size()) + " tokens");
    std::vector<float> ranks;
    std::vector<bool> joinable;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (!std::isfinite(scores[i])) file_.fail(key, "of token " + std::to_string(i) + " is not finite");
      ranks.push_back(static_cast<float>(scores[i]));
      joinable.push_back(types_[i] != control && types_[i] != unknown && types_[i] != byte);
    }
    if (!parts_.unknown) {
      for (std::size_t i = 0; i < types_.size() && !parts_.unknown; ++i)
        if (types_[i] == unknown) parts_.unknown = static_cast<TokenId>(i);
      if (!parts_.unknown) file_.fail("tokenizer.ggml.unknown_token_id", "missing, and no token is of the unknown type");
    }
    add_bos_ = true;
    parts_.kind = "SentencePiece BPE, byte fallback";
    parts_.pre_tokenizer_name = "none";
    // Every stretch of text between special tokens gets its own space in front.
    const bool prefix = file_.boolean_or("tokenizer.ggml.add_space_prefix", true);
    const std::string underline = "\xE2\x96\x81";
    if (prefix) parts_.normalizer.stages.emplace_back(Prepend{underline});
    parts_.normalizer.stages.emplace_back(Replace{std::string(" "), underline});
    parts_.model.emplace(SentencePieceBpe(parts_.vocabulary, std::move(ranks), joinable, *parts_.unknown));
    parts_.decoder.emplace_back(DecodeReplace{underline, " "});
    parts_.decoder.emplace_back(DecodeByteFallback{});
    parts_.decoder.emplace_back(DecodeFuse{});
    if (prefix) parts_.decoder.emplace_back(DecodeStrip{" ", 1, 0});
  }

  void read_special_template() {
    using Kind = SpecialTemplate::Kind;
    const auto wanted = [&](const char* key, bool otherwise, const std::optional<TokenId>& id, const char* what) {
      if (!file_.boolean_or(key, otherwise && id.has_value())) return false;
      if (!id) file_.fail(key, std::string("asks for a ") + what + " token, but the file names none");
      return true;
    };
    const bool bos = wanted("tokenizer.ggml.add_bos_token", add_bos_, parts_.bos, "BOS");
    const bool eos = wanted("tokenizer.ggml.add_eos_token", false, parts_.eos, "EOS");
    const auto surround = [&](SpecialTemplate& to, Kind text, std::int32_t type_id) {
      if (bos) to.items.push_back({Kind::special, type_id, {*parts_.bos}});
      to.items.push_back({text, type_id, {}});
      if (eos) to.items.push_back({Kind::special, type_id, {*parts_.eos}});
    };
    parts_.single.items.clear();
    surround(parts_.single, Kind::first, 0);
    parts_.pair = parts_.single;
    surround(parts_.pair, Kind::second, 1);
  }

  const GgufFile& file_;
  TokenizerParts parts_;
  std::vector<std::int64_t> types_;
  bool add_bos_ = false;
};

}  // namespace embedpool::io::tokenizing
