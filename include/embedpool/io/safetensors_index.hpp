#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "embedpool/io/json.hpp"

namespace embedpool::io {

/// model.safetensors.index.json: the shard, a file in the index's own directory, that holds each tensor.
///
/// Errors  FileError naming file, tensor and cause: no weight_map, a shard that is no plain file name
inline std::map<std::string, std::string> safetensors_index(const Json& json, const std::string& file) {
  std::map<std::string, std::string> shards;
  const JsonObject map = JsonObject(json, file).object("weight_map");
  for (const auto& [tensor, name] : map.json().items()) {
    if (!name.is_string()) map.fail(tensor, "must be the name of a file");
    const std::filesystem::path shard = name.get<std::string>();
    if (shard.empty() || shard != shard.filename() || shard == "." || shard == "..")
      map.fail(tensor, "'" + shard.string().substr(0, 80) + "' is no file of this directory");
    shards.emplace(tensor, shard.string());
  }
  return shards;
}

}  // namespace embedpool::io
