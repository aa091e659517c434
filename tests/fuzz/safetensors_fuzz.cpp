// Seeds: models/llama designs
#include <cstdint>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "fuzz/targets.hpp"

/// Any bytes are a safetensors file, whose values can be read, or are refused with an Error; the sanitizers watch.
int fuzz_safetensors(const std::uint8_t* data, std::size_t size) {
  try {
    const embedpool::io::SafetensorsFile file({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    for (const auto& [name, tensor] : file.tensors())
      try {
        if (tensor.format) (void)embedpool::io::matrix_of<float>(tensor);
        else (void)embedpool::io::integers_of(tensor);
      } catch (const embedpool::Error&) {  // neither reals that kernels decode nor integers
      }
  } catch (const embedpool::Error&) {
  }
  return 0;
}
