#include <cstdint>

#include "embedpool/io/json.hpp"
#include "fuzz/targets.hpp"

/// Any text is JSON that prints and reads back equal, or is refused with an Error; a text without a key that stands
/// twice means the same with and without the check for it. The sanitizers watch.
int fuzz_json(const std::uint8_t* data, std::size_t size) {
  using namespace embedpool;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const io::Json json = io::parse_json(text, "fuzz");
    if (io::parse_json(json.dump(), "fuzz") != json) __builtin_trap();
    if (io::parse_json(text, "fuzz", "", io::DuplicateKeys::refused) != json) __builtin_trap();
    const io::JsonObject object(json, "fuzz");
    for (const auto& [key, value] : json.items()) {
      try {
        (void)object.integer_or(key, 0, std::numeric_limits<Index>::min(), std::numeric_limits<Index>::max());
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
