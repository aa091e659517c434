#pragma once
#include <cstddef>
#include <cstdint>

#include "embedpool/io/tensor_values.hpp"

/// Reads every value of a file of tensors in memory, which must succeed or be refused with an Error.
template <class File>
int read_tensors(const std::uint8_t* data, std::size_t size) {
  try {
    const File file({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
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
