#pragma once
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "embedpool/io/byte_reader.hpp"
#include "embedpool/io/gguf_value.hpp"
#include "embedpool/io/mapped_file.hpp"
#include "embedpool/io/tensor.hpp"

namespace embedpool::io {

/// One GGUF file, version 2 or 3: metadata and tensors, used where they are mapped.
///
/// Every count, length and offset is checked against the bytes that are left before anything is allocated or read.
/// Tensor shapes are outermost first ([out, in]), the reverse of the file's order. A tensor of a type that kernels do
/// not know is listed without a format, and refused when its weights are asked for.
///
/// Errors  FileError naming file, key or tensor, and cause
/// Source  docs/gguf.md of ggml-org/ggml
class GgufFile {
 public:
  static GgufFile open(const std::filesystem::path& path) {
    auto file = MappedFile::open(path);
    return GgufFile(file->bytes(), file->name(), file);
  }

  /// From memory that `owner` keeps alive; `name` is for messages.
  GgufFile(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner = nullptr)
      : name_(std::move(name)), owner_(std::move(owner)) {
    ByteReader reader(bytes, name_);
    if (reader.left() < 4 || reader.read_text(4, "magic") != "GGUF") throw FileError(name_, "magic", "not a GGUF file");
    version_ = reader.read<std::uint32_t>("version");
    if ((version_ & 0xffffu) == 0 && version_ != 0) throw FileError(name_, "version", "big-endian files are not supported");
    if (version_ != 2 && version_ != 3)
      throw FileError(name_, "version", "must be 2 or 3, got " + std::to_string(version_));
    const auto tensor_count = reader.read<std::uint64_t>("tensor count");
    const auto value_count = reader.read<std::uint64_t>("metadata count");
    // The shortest entries: an empty name, 0 dimensions, type, offset; an empty key, type, one byte.
    require_count(tensor_count, 24, reader, "tensor count");
    require_count(value_count, 13, reader, "metadata count");
    for (std::uint64_t i = 0; i < value_count; ++i) read_value(reader);
    read_tensors(reader, bytes, tensor_count);
  }

  const std::string& name() const noexcept { return name_; }
  std::uint32_t version() const noexcept { return version_; }
  const std::map<std::string, Tensor>& tensors() const noexcept { return tensors_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const noexcept { return metadata_; }
  const Tensor* find(std::string_view tensor) const {
    const auto found = tensors_.find(std::string(tensor));
    return found == tensors_.end() ? nullptr : &found->second;
  }
  const Tensor& at(std::string_view tensor) const {
    if (const Tensor* found = find(tensor)) return *found;
    throw FileError(name_, "tensor " + std::string(tensor), "missing");
  }

  bool has(std::string_view key) const { return metadata_.find(key) != metadata_.end(); }

  /// Typed access. Errors: FileError for a missing key, another type, or a number outside [low, high].
  Index integer(std::string_view key, Index low, Index high) const {
    const GgufValue& value = get(key);
    const auto* natural = std::get_if<std::uint64_t>(&value);
    const auto* whole = std::get_if<std::int64_t>(&value);
    const bool fits = (natural && *natural <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max()) &&
                       low <= static_cast<Index>(*natural) && static_cast<Index>(*natural) <= high) ||
                      (whole && low <= *whole && *whole <= high);
    if (!fits)
      fail(key, "must be an integer in [" + std::to_string(low) + ", " + std::to_string(high) + "]" +
                    (natural ? ", got " + std::to_string(*natural) : whole ? ", got " + std::to_string(*whole) : ""));
    return natural ? static_cast<Index>(*natural) : static_cast<Index>(*whole);
  }
  Index integer_or(std::string_view key, Index otherwise, Index low, Index high) const {
    return has(key) ? integer(key, low, high) : otherwise;
  }
  double number(std::string_view key) const {
    const auto* value = std::get_if<double>(&get(key));
    if (value == nullptr || !(std::abs(*value) <= std::numeric_limits<double>::max())) fail(key, "must be a finite number");
    return *value;
  }
  double number_or(std::string_view key, double otherwise) const { return has(key) ? number(key) : otherwise; }
  bool boolean_or(std::string_view key, bool otherwise) const {
    return has(key) ? typed<bool>(key, "must be true or false") : otherwise;
  }
  std::string string(std::string_view key) const {
    return std::string(typed<std::string_view>(key, "must be a string"));
  }
  std::string string_or(std::string_view key, std::string otherwise) const {
    return has(key) ? string(key) : otherwise;
  }
  const std::vector<std::string_view>& strings(std::string_view key) const {
    return typed<std::vector<std::string_view>>(key, "must be an array of strings");
  }
  const std::vector<std::int64_t>& integers(std::string_view key) const {
    return typed<std::vector<std::int64_t>>(key, "must be an array of integers");
  }
  const std::vector<double>& numbers(std::string_view key) const {
    return typed<std::vector<double>>(key, "must be an array of numbers");
  }
  [[noreturn]] void fail(std::string_view key, std::string_view cause) const { throw FileError(name_, key, cause); }

 private:
  enum ValueType : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };

  const GgufValue& get(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) fail(key, "missing");
    return found->second;
  }
  template <class T>
  const T& typed(std::string_view key, std::string_view cause) const {
    const T* value = std::get_if<T>(&get(key));
    if (value == nullptr) fail(key, cause);
    return *value;
  }

  static void require_count(std::uint64_t count, std::size_t least_bytes, const ByteReader& reader, std::string_view what) {
    if (count > reader.left() / least_bytes)
      throw FileError(reader.file(), what, std::to_string(count) + " entries do not fit into the " +
                                               std::to_string(reader.left()) + " bytes that are left");
  }

  static std::string_view read_string(ByteReader& reader, std::string_view what) {
    const auto length = reader.read<std::uint64_t>(what);
    require_count(length, 1, reader, what);
    return reader.read_text(static_cast<std::size_t>(length), what);
  }

  static std::int64_t read_integer(ByteReader& reader, std::uint32_t type, std::string_view key) {
    switch (type) {
      case U8: return reader.read<std::uint8_t>(key);
      case I8: return reader.read<std::int8_t>(key);
      case U16: return reader.read<std::uint16_t>(key);
      case I16: return reader.read<std::int16_t>(key);
      case U32: return reader.read<std::uint32_t>(key);
      case I32: return reader.read<std::int32_t>(key);
      case Bool: return reader.read<std::uint8_t>(key) != 0;
      case I64: return reader.read<std::int64_t>(key);
      case U64: {
        const auto value = reader.read<std::uint64_t>(key);
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
          throw FileError(reader.file(), key, "integer is too large");
        return static_cast<std::int64_t>(value);
      }
      default: throw FileError(reader.file(), key, "unknown value type " + std::to_string(type));
    }
  }

  static GgufValue read_array(ByteReader& reader, std::string_view key) {
    const auto type = reader.read<std::uint32_t>(key);
    const auto count = reader.read<std::uint64_t>(key);
    const std::size_t least_bytes = type == String ? 8 : 1;
    require_count(count, least_bytes, reader, key);
    if (type == String) {
      std::vector<std::string_view> strings(static_cast<std::size_t>(count));
      for (auto& text : strings) text = read_string(reader, key);
      return strings;
    }
    if (type == F32 || type == F64) {
      std::vector<double> numbers(static_cast<std::size_t>(count));
      for (auto& number : numbers) number = type == F32 ? reader.read<float>(key) : reader.read<double>(key);
      return numbers;
    }
    if (type == Array) throw FileError(reader.file(), key, "arrays of arrays are not supported");
    std::vector<std::int64_t> integers(static_cast<std::size_t>(count));
    for (auto& integer : integers) integer = read_integer(reader, type, key);
    return integers;
  }

  void read_value(ByteReader& reader) {
    const std::string key(read_string(reader, "metadata key " + std::to_string(metadata_.size())));
    const auto type = reader.read<std::uint32_t>(key);
    GgufValue value;
    if (type == F32) value = static_cast<double>(reader.read<float>(key));
    else if (type == F64) value = reader.read<double>(key);
    else if (type == Bool) value = reader.read<std::uint8_t>(key) != 0;
    else if (type == String) value = read_string(reader, key);
    else if (type == Array) value = read_array(reader, key);
    else if (type == U64) value = reader.read<std::uint64_t>(key);
    else value = read_integer(reader, type, key);
    if (!metadata_.emplace(key, std::move(value)).second) fail(key, "stands twice in the file");
  }

  struct Type {
    std::uint32_t number;
    Format format;
  };
  static std::optional<Format> format_of(std::uint32_t type) {
    static constexpr Type types[] = {{0, Format::F32},   {1, Format::F16},   {2, Format::Q4_0},    {3, Format::Q4_1},
                                     {6, Format::Q5_0},  {7, Format::Q5_1},  {8, Format::Q8_0},    {10, Format::Q2_K},
                                     {11, Format::Q3_K}, {12, Format::Q4_K}, {13, Format::Q5_K},   {14, Format::Q6_K},
                                     {20, Format::IQ4_NL}, {23, Format::IQ4_XS}, {28, Format::F64}, {30, Format::BF16}};
    for (const Type& known : types)
      if (known.number == type) return known.format;
    return std::nullopt;
  }

  void read_tensors(ByteReader& reader, std::span<const std::byte> bytes, std::uint64_t count) {
    struct Place {
      std::string name;
      std::uint64_t offset;
    };
    std::vector<Place> places;
    for (std::uint64_t i = 0; i < count; ++i) {
      Tensor tensor;
      tensor.name = std::string(read_string(reader, "name of tensor " + std::to_string(i)));
      tensor.file = name_;
      tensor.owner = owner_;
      const auto dimensions = reader.read<std::uint32_t>(tensor.name);
      if (dimensions > 4) tensor.fail("has " + std::to_string(dimensions) + " dimensions, at most 4 are allowed");
      Index product = 1;
      for (std::uint32_t d = 0; d < dimensions; ++d) {
        const auto extent = reader.read<std::uint64_t>(tensor.name);
        if (extent > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()) ||
            __builtin_mul_overflow(product, static_cast<Index>(extent), &product))
          tensor.fail("shape overflows");
        tensor.shape.push_back(static_cast<Index>(extent));
      }
      std::reverse(tensor.shape.begin(), tensor.shape.end());
      const auto type = reader.read<std::uint32_t>(tensor.name);
      tensor.format = format_of(type);
      tensor.type = tensor.format ? std::string(info(*tensor.format).name) : "ggml type " + std::to_string(type);
      const auto offset = reader.read<std::uint64_t>(tensor.name);
      places.push_back({tensor.name, offset});
      if (!tensors_.emplace(tensor.name, tensor).second) tensor.fail("stands twice in the file");
    }
    const Index alignment = integer_or("general.alignment", 32, 1, Index(1) << 20);
    if ((alignment & (alignment - 1)) != 0) fail("general.alignment", "must be a power of two");
    const auto align = static_cast<std::size_t>(alignment);
    const std::size_t data_begin = (reader.position() + align - 1) / align * align;
    for (const Place& place : places) locate(tensors_.at(place.name), bytes, data_begin, place.offset);
  }

  static void locate(Tensor& tensor, std::span<const std::byte> bytes, std::size_t data_begin, std::uint64_t offset) {
    if (!tensor.format) return;  // of unknown size
    const FormatInfo layout = info(*tensor.format);
    const Index row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (row % layout.block_values != 0)
      tensor.fail("rows of " + std::to_string(row) + " values are no whole number of " + tensor.type + " blocks");
    Index size = 0;
    if (__builtin_mul_overflow(tensor.size() / layout.block_values, layout.block_bytes, &size)) tensor.fail("shape overflows");
    const std::size_t available = bytes.size() > data_begin ? bytes.size() - data_begin : 0;
    if (offset > available || static_cast<std::uint64_t>(size) > available - offset)
      tensor.fail("its " + std::to_string(size) + " bytes at offset " + std::to_string(offset) +
                  " lie outside the data of " + std::to_string(available) + " bytes: is the file complete?");
    tensor.data = bytes.subspan(data_begin + static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }

  std::string name_;
  std::shared_ptr<const void> owner_;
  std::uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace embedpool::io
