// Seeds: gguf
#include "embedpool/io/gguf.hpp"
#include "fuzz/read_tensors.hpp"
#include "fuzz/targets.hpp"

/// Any bytes are a GGUF file, whose values can be read, or are refused with an Error; the sanitizers watch.
int fuzz_gguf(const std::uint8_t* data, std::size_t size) { return read_tensors<embedpool::io::GgufFile>(data, size); }
