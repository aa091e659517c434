#pragma once
#include <map>
#include <string>
#include <vector>

#include "embedding_options.hpp"
#include "embedpool/io/saved_embedder.hpp"
#include "embedpool/model/lora_adapter.hpp"
#include "forward_pass.hpp"
#include "model.hpp"
#include "text_batches.hpp"

namespace embedpool::program {

/// What a run does, once flags, saved folders and the model's own files have been weighed against each other.
struct Settings {
  io::EmbedderConfig config{};
  Reading reading{};
  std::optional<LoraAdapter<float>> adapter{};  ///< of --trained
  std::string pooling_source{};  ///< where the pooling came from, for people to read
  bool append_to_tokens = false; ///< texts that come as ids get the appended ids as well
};

/// Weighs, from strongest to weakest: a flag; the saved folder of --head or --calibration; the model's own files; the
/// defaults. A flag that contradicts a saved folder in what decides the keys (mask, pooling, layers, template, ids in
/// front and behind) is refused by name: its numbers would mean something else.
///
/// Errors  FileError naming folder and key; ShapeError naming the flag
Settings resolve(const EmbeddingOptions& options, const Model& model);

/// The mask that the model's own configuration asks for.
AnyMask own_mask(const Model& model);

/// Instructions by task, of flags TASK=TEXT. Errors: ShapeError naming a flag that is none.
std::map<std::string, std::string> parse_instructions(const std::vector<std::string>& flags);

/// The model's decoder, with the adapter merged into it where there is one.
Decoder<float> decoder_of(const Settings& settings, const Model& model);

/// A number of an adapter: others at the same path have another.
std::string digest_of(const LoraAdapter<float>& adapter);

/// Refuses an adapter that was merged into the model. Errors: FileError naming `folder`, from which it came.
void require_not_merged(const LoraAdapter<float>& adapter, const std::string& folder, const Model& model);

/// A number of the adapter, the head's parameters and the calibration: others at the same path have another.
std::string learned_digest(Settings& settings);

/// How texts become ids under these settings.
TextEncoding text_encoding(const EmbeddingOptions& options, const Settings& settings, const Model& model);

/// "mask causal", "pooling mean" ...: every setting on a line of its own, for people to read.
std::string describe(const io::EmbedderConfig& config, const Model& model);

/// Ids with the tokens that they spell: "<|im_end|> (2)"; "nothing" for none.
std::string spelled(const std::vector<TokenId>& ids, const Model& model);

}  // namespace embedpool::program
