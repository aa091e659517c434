#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "embedpool/io/tokenizer/added_tokens.hpp"
#include "embedpool/io/tokenizer/normalizer.hpp"
#include "embedpool/io/tokenizer/pre_tokenizer.hpp"
#include "embedpool/io/tokenizer/special_template.hpp"
#include "embedpool/io/tokenizer/text_decoder.hpp"
#include "embedpool/io/tokenizer/token_model.hpp"

namespace embedpool::io::tokenizing {

/// The stages of one tokenizer, as a reader of a file puts them together.
struct TokenizerParts {
  std::string file;
  std::string kind;           ///< for people: "BPE, byte level", "Unigram", ...
  std::string pre_tokenizer_name;
  std::shared_ptr<const Vocabulary> vocabulary;  ///< the model's own tokens
  std::map<TokenId, AddedToken> added;           ///< by id; some are in the vocabulary too
  Normalizer normalizer;
  std::vector<PreTokenizerStage> pre_tokenizer;
  std::optional<TokenModel> model;
  SpecialTemplate single = SpecialTemplate::single_plain();
  SpecialTemplate pair = SpecialTemplate::pair_plain();
  std::vector<DecoderStage> decoder;
  bool joined_by_spaces = false;  ///< without a decoder, tokens are joined so
  std::optional<TokenId> bos, eos, pad, unknown;
  std::optional<Index> max_length;  ///< the file's own truncation, which nothing applies by itself
};

}  // namespace embedpool::io::tokenizing
