// Any bytes as a tokenizer.json: one FileError, or a tokenizer that encodes and decodes.
#include <cstddef>
#include <cstdint>

#include "embedpool/io/tokenizer/tokenizer_description.hpp"
#include "fuzz/targets.hpp"

int fuzz_tokenizer_json(const std::uint8_t* data, std::size_t size) {
  try {
    const auto tokenizer = embedpool::io::Tokenizer::from_json({reinterpret_cast<const char*>(data), size}, "fuzzed.json");
    const auto ids = tokenizer.encode_with_special("Hello w\u00F6rld <s>[SEP] 12\u00BD \u4E2D\n").ids;
    tokenizer.decode(ids);
    description_of(tokenizer);
  } catch (const embedpool::FileError&) {
  } catch (const embedpool::io::TextError&) {
  }
  return 0;
}
