#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/io/tensor.hpp"
#include "embedpool/kernels/dequantize.hpp"

namespace embedpool::io {

/// A tensor's values as reals, copied: [rows, columns], a vector as one row, more dimensions flattened to the last one.
///
/// Errors  FileError for integer types, and for formats whose blocks do not fit the rows
template <Real S>
Matrix<S> matrix_of(const Tensor& tensor) {
  if (!tensor.format) tensor.fail("type " + tensor.type + " does not hold reals");
  const Index columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  const Index rows = columns > 0 ? tensor.size() / columns : 0;
  if (columns % info(*tensor.format).block_values != 0) tensor.fail("rows are no whole number of blocks");
  Matrix<S> values(rows, columns);
  decode_values(*tensor.format, tensor.data.data(), values.size(), values.data());
  return values;
}

/// A tensor's values as integers, copied. Errors: FileError for types that are not integers or are unsigned 64-bit.
inline std::vector<std::int64_t> integers_of(const Tensor& tensor) {
  std::vector<std::int64_t> values;
  const auto read = [&]<class T>(T) {
    values.resize(tensor.data.size() / sizeof(T));  // the bytes are there, whatever the shape of other types claims
    for (std::size_t i = 0; i < values.size(); ++i) {
      T value;
      std::memcpy(&value, tensor.data.data() + i * sizeof(T), sizeof(T));
      values[i] = static_cast<std::int64_t>(value);
    }
  };
  if (tensor.type == "I64") read(std::int64_t{});
  else if (tensor.type == "I32") read(std::int32_t{});
  else if (tensor.type == "I16") read(std::int16_t{});
  else if (tensor.type == "I8") read(std::int8_t{});
  else if (tensor.type == "U32") read(std::uint32_t{});
  else if (tensor.type == "U16") read(std::uint16_t{});
  else if (tensor.type == "U8" || tensor.type == "BOOL") read(std::uint8_t{});
  else tensor.fail("type " + tensor.type + " is not an integer type");
  return values;
}

}  // namespace embedpool::io
