#pragma once
#include <filesystem>
#include <string>
#include <system_error>

#include "embedpool/io/assemble_decoder.hpp"
#include "embedpool/io/decoder_tensor_names.hpp"
#include "embedpool/io/gguf_decoder_config.hpp"
#include "embedpool/io/hugging_face_decoder_config.hpp"
#include "embedpool/io/safetensors_model.hpp"

namespace embedpool::io {

/// The decoder in an open GGUF file. Errors: FileError naming file, key or tensor, and cause.
template <Real S = float>
Decoder<S> load_decoder(const GgufFile& file) {
  const DecoderConfig config = gguf_decoder_config(file);
  return assemble_decoder<S>(config, S(0), [&](const DecoderTensorPlace& place) -> const Tensor& {
    return file.at(gguf_name(place));
  });
}

/// The decoder in a Hugging Face directory: its config (another file than `config.json` on demand), and
/// model.safetensors or the shards that model.safetensors.index.json lists. Names with and without the prefix `model.`
/// are understood; what a decoder does not need (`lm_head`) is left alone.
///
/// Errors  FileError naming file, key or tensor, and cause; of a directory that holds an adapter, too, which
///         Hugging Face's AutoModel would apply and this does not
template <Real S = float>
Decoder<S> load_hugging_face_decoder(const std::filesystem::path& directory,
                                     const std::string& config_name = "config.json") {
  std::error_code ignored;  // what cannot be looked at is reported when it is opened
  if (const auto adapter = directory / "adapter_config.json"; std::filesystem::exists(adapter, ignored))
    throw FileError(adapter.string(), "", "an adapter is not applied where a model is loaded: it must be merged into its base "
                                          "model, or lie in another folder");
  const std::filesystem::path config_path = directory / config_name;
  const Json json = read_json(config_path);
  const DecoderConfig config = hugging_face_decoder_config(JsonObject(json, config_path.string()));
  const SafetensorsModel files = SafetensorsModel::open(directory);
  const std::string prefix = files.find("model.embed_tokens.weight") != nullptr ? "model." : "";
  const S gain_offset = config.architecture == "gemma" ? S(1) : S(0);
  return assemble_decoder<S>(config, gain_offset, [&](const DecoderTensorPlace& place) -> const Tensor& {
    return files.at(prefix + hugging_face_name(place));
  });
}

/// The decoder at `path`: a GGUF file, or a Hugging Face directory. The file stays mapped while the decoder lives.
///
/// Errors  FileError naming file, key or tensor, and cause
template <Real S = float>
Decoder<S> load_decoder(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at is reported when it is opened
  if (std::filesystem::is_directory(path, ignored)) return load_hugging_face_decoder<S>(path);
  return load_decoder<S>(GgufFile::open(path));
}

}  // namespace embedpool::io
