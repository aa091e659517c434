#include <cstdint>

#include "embedpool/io/embedder_config.hpp"
#include "fuzz/targets.hpp"

/// Any text is a saved embedder's configuration or is refused with an Error; the sanitizers watch.
int fuzz_embedder_config(const std::uint8_t* data, std::size_t size) {
  try {
    const auto json = embedpool::io::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    (void)embedpool::io::embedder_config(json, "fuzz");
  } catch (const embedpool::Error&) {
  }
  return 0;
}
