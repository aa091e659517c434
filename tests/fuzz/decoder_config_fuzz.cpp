// Seeds: models/llama models/qwen3
#include <cstdint>

#include "embedpool/io/hugging_face_decoder_config.hpp"
#include "fuzz/targets.hpp"

/// Any text is a config.json of a decoder or is refused with an Error; the sanitizers watch.
int fuzz_decoder_config(const std::uint8_t* data, std::size_t size) {
  try {
    const auto json = embedpool::io::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    (void)embedpool::io::hugging_face_decoder_config({json, "fuzz"});
  } catch (const embedpool::Error&) {
  }
  return 0;
}
