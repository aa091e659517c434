#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/byte_reader.hpp"
#include "embedpool/io/gguf_value.hpp"

namespace embedpool::io::detail {

/// Types of metadata values, as the file numbers them.
struct GgufType {
  enum Number : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };
};

/// Errors: FileError when `count` entries of at least `least_bytes` each cannot stand in what is left of the file; asked
/// before anything is allocated.
inline void require_gguf_count(std::uint64_t count, std::size_t least_bytes, const ByteReader& reader, std::string_view what) {
  if (count > reader.left() / least_bytes)
    throw FileError(reader.file(), what, std::to_string(count) + " entries do not fit into the " +
                                             std::to_string(reader.left()) + " bytes that are left");
}

inline std::string_view read_gguf_text(ByteReader& reader, std::string_view what) {
  const auto length = reader.read<std::uint64_t>(what);
  require_gguf_count(length, 1, reader, what);
  return reader.read_text(static_cast<std::size_t>(length), what);
}

/// A key or a tensor's name.
inline std::string read_gguf_name(ByteReader& reader, std::string_view what) {
  constexpr std::size_t longest_name = 65535;  // the format's limit for keys
  const std::string_view name = read_gguf_text(reader, what);
  if (name.size() > longest_name) throw FileError(reader.file(), what, "is longer than 65535 bytes");
  return std::string(name);
}

inline bool read_gguf_boolean(ByteReader& reader, std::string_view key) {
  const auto value = reader.read<std::uint8_t>(key);
  if (value > 1) throw FileError(reader.file(), key, "must be true (1) or false (0), got " + std::to_string(value));
  return value == 1;
}

inline std::int64_t read_gguf_integer(ByteReader& reader, std::uint32_t type, std::string_view key) {
  switch (type) {
    case GgufType::U8: return reader.read<std::uint8_t>(key);
    case GgufType::I8: return reader.read<std::int8_t>(key);
    case GgufType::U16: return reader.read<std::uint16_t>(key);
    case GgufType::I16: return reader.read<std::int16_t>(key);
    case GgufType::U32: return reader.read<std::uint32_t>(key);
    case GgufType::I32: return reader.read<std::int32_t>(key);
    case GgufType::Bool: return read_gguf_boolean(reader, key);
    case GgufType::I64: return reader.read<std::int64_t>(key);
    case GgufType::U64: {
      const auto value = reader.read<std::uint64_t>(key);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw FileError(reader.file(), key, "integer is too large");
      return static_cast<std::int64_t>(value);
    }
    default: throw FileError(reader.file(), key, "unknown value type " + std::to_string(type));
  }
}

/// Bytes of a value of this type, of a text or array those of the shortest.
inline std::size_t gguf_value_bytes(std::uint32_t type, const ByteReader& reader, std::string_view key) {
  switch (type) {
    case GgufType::U8: case GgufType::I8: case GgufType::Bool: return 1;
    case GgufType::U16: case GgufType::I16: return 2;
    case GgufType::U32: case GgufType::I32: case GgufType::F32: return 4;
    case GgufType::U64: case GgufType::I64: case GgufType::F64: case GgufType::String: return 8;
    case GgufType::Array: return 12;
    default: throw FileError(reader.file(), key, "unknown value type " + std::to_string(type));
  }
}

/// Passes an array inside an array, and those inside it, with every check but keeping nothing.
inline void skip_gguf_array(ByteReader& reader, std::string_view key, int depth) {
  constexpr int deepest = 8;
  if (depth > deepest) throw FileError(reader.file(), key, "arrays are nested too deeply");
  const auto type = reader.read<std::uint32_t>(key);
  const auto count = reader.read<std::uint64_t>(key);
  const std::size_t least = gguf_value_bytes(type, reader, key);
  require_gguf_count(count, least, reader, key);
  if (type != GgufType::String && type != GgufType::Array) {
    reader.read_text(static_cast<std::size_t>(count) * least, key);
    return;
  }
  for (std::uint64_t i = 0; i < count; ++i)
    if (type == GgufType::String) read_gguf_text(reader, key);
    else skip_gguf_array(reader, key, depth + 1);
}

inline GgufValue read_gguf_array(ByteReader& reader, std::string_view key) {
  const auto type = reader.read<std::uint32_t>(key);
  const auto count = reader.read<std::uint64_t>(key);
  require_gguf_count(count, gguf_value_bytes(type, reader, key), reader, key);
  if (type == GgufType::String) {
    std::vector<std::string_view> strings(static_cast<std::size_t>(count));
    for (auto& text : strings) text = read_gguf_text(reader, key);
    return strings;
  }
  if (type == GgufType::F32 || type == GgufType::F64) {
    std::vector<double> numbers(static_cast<std::size_t>(count));
    for (auto& number : numbers) number = type == GgufType::F32 ? reader.read<float>(key) : reader.read<double>(key);
    return numbers;
  }
  if (type == GgufType::Array) {
    for (std::uint64_t i = 0; i < count; ++i) skip_gguf_array(reader, key, 1);
    return GgufNestedArray{count};
  }
  std::vector<std::int64_t> integers(static_cast<std::size_t>(count));
  for (auto& integer : integers) integer = read_gguf_integer(reader, type, key);
  return integers;
}

/// The value behind a key: its type, then what the type says.
inline GgufValue read_gguf_value(ByteReader& reader, std::string_view key) {
  const auto type = reader.read<std::uint32_t>(key);
  switch (type) {
    case GgufType::F32: return static_cast<double>(reader.read<float>(key));
    case GgufType::F64: return reader.read<double>(key);
    case GgufType::Bool: return read_gguf_boolean(reader, key);
    case GgufType::String: return read_gguf_text(reader, key);
    case GgufType::Array: return read_gguf_array(reader, key);
    case GgufType::U64: return reader.read<std::uint64_t>(key);
    default: return read_gguf_integer(reader, type, key);
  }
}

}  // namespace embedpool::io::detail
