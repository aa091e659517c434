// Seeds: models/llama designs
#include "embedpool/io/safetensors.hpp"
#include "fuzz/read_tensors.hpp"
#include "fuzz/targets.hpp"

/// Any bytes are a safetensors file, whose values can be read, or are refused with an Error; the sanitizers watch.
int fuzz_safetensors(const std::uint8_t* data, std::size_t size) { return read_tensors<embedpool::io::SafetensorsFile>(data, size); }
