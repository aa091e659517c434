#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <system_error>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/safetensors_index.hpp"

namespace embedpool::io {

/// The tensors of a model's directory: those of model.safetensors, or of the shards that model.safetensors.index.json
/// lists. Where both are there, the single file counts, as Hugging Face reads it.
///
/// Errors  FileError naming file and tensor: neither is there, an index that names a file outside the directory, a
///         tensor that its shard does not hold or that no shard was listed for
class SafetensorsModel : public NamedTensors {
 public:
  static SafetensorsModel open(const std::filesystem::path& directory) {
    const auto single = directory / "model.safetensors";
    const auto index = directory / "model.safetensors.index.json";
    std::error_code ignored;  // what cannot be looked at is reported when it is opened
    if (!std::filesystem::exists(single, ignored) && std::filesystem::exists(index, ignored))
      return SafetensorsModel(directory, index);
    SafetensorsModel model(single.string());
    model.tensors_ = SafetensorsFile::open(single).tensors();
    return model;
  }

 private:
  explicit SafetensorsModel(std::string name) : NamedTensors(std::move(name)) {}

  SafetensorsModel(const std::filesystem::path& directory, const std::filesystem::path& index)
      : NamedTensors(index.string()) {
    std::map<std::string, SafetensorsFile> shards;
    for (const auto& [tensor, shard] : safetensors_index(read_json(index), name_)) {
      auto opened = shards.find(shard);
      if (opened == shards.end()) opened = shards.emplace(shard, SafetensorsFile::open(directory / shard)).first;
      tensors_.emplace(tensor, opened->second.at(tensor));
    }
  }
};

}  // namespace embedpool::io
