// Seeds: gguf
#include <cstdint>

#include "embedpool/io/gguf.hpp"

/// Any bytes are a GGUF file or are refused with an Error; the sanitizers watch.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const embedpool::io::GgufFile file({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    for (const auto& [name, tensor] : file.tensors())
      if (!tensor.data.empty()) [[maybe_unused]] volatile auto last = tensor.data.back();
  } catch (const embedpool::Error&) {
  }
  return 0;
}
