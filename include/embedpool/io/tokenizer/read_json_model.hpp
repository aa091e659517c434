#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/tokenizer/json_node.hpp"
#include "embedpool/io/tokenizer/tokenizer_parts.hpp"

namespace embedpool::io::tokenizing {

/// {"token": id, ...}
inline std::shared_ptr<const Vocabulary> read_vocabulary(const JsonNode& model) {
  const Json& vocab = model.at("vocab");
  if (!vocab.is_object()) model.fail("vocab", "must be an object of tokens and ids");
  auto vocabulary = std::make_shared<Vocabulary>(vocab.size());
  model.made_at("vocab", [&] {
    for (const auto& [token, id] : vocab.items()) {
      if (!id.is_number_integer() || id < 0 || id > 0x7FFFFFFF)
        throw std::invalid_argument("id of token \"" + token.substr(0, 60) + "\" must be an integer from 0 to 2^31 - 1");
      vocabulary->add(token, id.get<Index>());
    }
  });
  return vocabulary;
}

inline TokenId read_unknown(const JsonNode& model, const Vocabulary& vocabulary) {
  const std::string unknown = model.string("unk_token");
  const auto id = vocabulary.find(unknown);
  if (!id) model.fail("unk_token", "\"" + unknown + "\" is not in the vocabulary");
  return *id;
}

/// The two sides of a rule: ["a", "b"], or "a b" as older files have it.
inline std::pair<std::string_view, std::string_view> sides_of_merge(const Json& merge) {
  if (merge.is_string()) {
    const std::string_view both = merge.get_ref<const std::string&>();
    const auto space = both.find(' ');
    if (space != std::string_view::npos && both.find(' ', space + 1) == std::string_view::npos)
      return {both.substr(0, space), both.substr(space + 1)};
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  }
  throw std::invalid_argument("must be two tokens");
}

inline Bpe read_bpe(const JsonNode& model, TokenizerParts& parts) {
  if (model.number_or("dropout", 0) != 0) model.fail("dropout", "random merges are not supported");
  Bpe::Options options;
  options.ignore_merges = model.boolean_or("ignore_merges", false);
  options.byte_fallback = model.boolean_or("byte_fallback", false);
  options.fuse_unknown = model.boolean_or("fuse_unk", false);
  options.continuing_prefix = model.string_or("continuing_subword_prefix", "");
  options.word_suffix = model.string_or("end_of_word_suffix", "");
  if (model.has("unk_token")) options.unknown = parts.unknown = read_unknown(model, *parts.vocabulary);
  // When the byte alphabet is the last thing before the model, the model works on the bytes themselves.
  auto& stages = parts.pre_tokenizer;
  const auto writes_alphabet = [](const PreTokenizerStage& s) { return std::holds_alternative<ToByteAlphabet>(s); };
  const bool plain = options.continuing_prefix.empty() && options.word_suffix.empty() && !options.byte_fallback;
  options.bytes = plain && !stages.empty() && writes_alphabet(stages.back()) &&
                  std::count_if(stages.begin(), stages.end(), writes_alphabet) == 1;
  if (options.bytes) stages.pop_back();
  parts.kind = options.bytes ? "BPE, byte level" : options.byte_fallback ? "BPE, byte fallback" : "BPE";
  const Json& merges = model.array("merges");
  const std::string prefix = options.continuing_prefix;
  Bpe bpe(parts.vocabulary, std::move(options), merges.size());
  std::size_t rank = 0;
  for (const Json& merge : merges) {
    model.made_at("merges[" + std::to_string(rank) + "]", [&] {
      const auto [left, right] = sides_of_merge(merge);
      bpe.merges().add(*parts.vocabulary, left, right, prefix, rank, true);
    });
    ++rank;
  }
  return bpe;
}

/// [["token", score], ...]; the id is the place in the list.
inline Unigram read_unigram(const JsonNode& model, TokenizerParts& parts) {
  const Json& vocab = model.array("vocab");
  auto vocabulary = std::make_shared<Vocabulary>(vocab.size());
  std::vector<double> scores;
  for (const Json& entry : vocab) {
    const std::string place = "vocab[" + std::to_string(scores.size()) + "]";
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number() ||
        !std::isfinite(entry[1].get<double>()))
      model.fail(place, "must be a token and its finite score");
    model.made_at(place, [&] { vocabulary->add(entry[0].get_ref<const std::string&>(), static_cast<Index>(scores.size())); });
    scores.push_back(entry[1].get<double>());
  }
  if (scores.empty()) model.fail("vocab", "must not be empty");
  if (model.has("unk_id"))
    parts.unknown = static_cast<TokenId>(model.integer("unk_id", 0, static_cast<Index>(scores.size()) - 1));
  const bool fallback = model.boolean_or("byte_fallback", false);
  parts.kind = fallback ? "Unigram, byte fallback" : "Unigram";
  parts.vocabulary = vocabulary;
  return Unigram(parts.vocabulary, std::move(scores), parts.unknown, fallback);
}

/// Files of old versions do not say which model they hold; its own keys tell.
inline std::string type_of_model(const JsonNode& model) {
  if (model.has("type")) return model.type();
  if (model.has("merges")) return "BPE";
  if (model.has("vocab") && model.at("vocab").is_array()) return "Unigram";
  if (model.has("max_input_chars_per_word")) return "WordPiece";
  model.fail("type", "missing");
}

inline void read_model(const JsonNode& model, TokenizerParts& parts) {
  const std::string type = type_of_model(model);
  if (type == "Unigram") {
    parts.model.emplace(read_unigram(model, parts));
    return;
  }
  if (type != "BPE" && type != "WordPiece" && type != "WordLevel") model.refuse("model");
  parts.vocabulary = read_vocabulary(model);
  if (type == "BPE") {
    parts.model.emplace(read_bpe(model, parts));
    return;
  }
  parts.kind = type;
  parts.unknown = read_unknown(model, *parts.vocabulary);
  if (type == "WordPiece")
    parts.model.emplace(WordPiece(parts.vocabulary, *parts.unknown, model.string_or("continuing_subword_prefix", "##"),
                                  static_cast<std::size_t>(model.integer_or("max_input_chars_per_word", 100, 0, 1 << 20))));
  else parts.model.emplace(WordLevel(parts.vocabulary, *parts.unknown));
}

}  // namespace embedpool::io::tokenizing
