#include <cstdint>

#include "embedpool/io/safetensors_index.hpp"
#include "fuzz/targets.hpp"

/// Any text is an index of shards or is refused with an Error; no shard lies outside the directory. The sanitizers watch.
int fuzz_safetensors_index(const std::uint8_t* data, std::size_t size) {
  using namespace embedpool;
  try {
    const io::Json json = io::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& [tensor, shard] : io::safetensors_index(json, "fuzz"))
      if (("model" / std::filesystem::path(shard)).lexically_normal().parent_path() != "model") __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
