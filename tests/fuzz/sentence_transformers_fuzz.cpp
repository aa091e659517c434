#include <cstdint>

#include "embedpool/io/sentence_transformers.hpp"
#include "fuzz/targets.hpp"

/// Any text is modules.json, a Pooling module's config.json and config_sentence_transformers.json, or is refused as each
/// with an Error; no module's folder leads out of the model's. The sanitizers watch.
int fuzz_sentence_transformers(const std::uint8_t* data, std::size_t size) {
  using namespace embedpool;
  const auto attempt = [](const auto& read) {
    try {
      read();
    } catch (const Error&) {
    }
  };
  attempt([&] {
    const io::Json json = io::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    attempt([&] {
      for (const auto& module : io::sentence_transformers_modules(json, "fuzz"))
        if (("model" / module.folder).lexically_normal().string().rfind("model", 0) != 0) __builtin_trap();
    });
    attempt([&] { AnyTokens::parse(io::sentence_transformers_readers({json, "fuzz"}).to_string()); });
    attempt([&] { (void)io::sentence_transformers_prompts({json, "fuzz"}).default_prompt(); });
  });
  return 0;
}
