#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "embedpool/io/byte_reader.hpp"
#include "embedpool/io/gguf_tensor_type.hpp"
#include "embedpool/io/gguf_value.hpp"
#include "embedpool/io/read_gguf_value.hpp"
#include "embedpool/io/mapped_file.hpp"
#include "embedpool/io/named_tensors.hpp"

namespace embedpool::io {

/// One GGUF file, version 2 or 3: metadata and tensors, used where they are mapped.
///
/// Every count, length and offset is checked against the bytes that are left before anything is allocated or read; no
/// two tensors share a byte. Tensor shapes are outermost first ([out, in]), the reverse of the file's order. A tensor of
/// a type that kernels do not know is listed without a format, and refused when its weights are asked for.
///
/// Errors  FileError naming file, key or tensor, and cause
/// Source  docs/gguf.md of ggml-org/ggml
class GgufFile : public NamedTensors {
 public:
  static GgufFile open(const std::filesystem::path& path) {
    auto file = MappedFile::open(path);
    return GgufFile(file->bytes(), file->name(), file);
  }

  /// From memory that `owner` keeps alive; `name` is for messages.
  GgufFile(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner = nullptr)
      : NamedTensors(std::move(name)), owner_(std::move(owner)) {
    ByteReader reader(bytes, name_);
    if (reader.left() < 4 || reader.read_text(4, "magic") != "GGUF") throw FileError(name_, "magic", "not a GGUF file");
    version_ = reader.read<std::uint32_t>("version");
    if ((version_ & 0xffffu) == 0 && version_ != 0) throw FileError(name_, "version", "big-endian files are not supported");
    if (version_ != 2 && version_ != 3)
      throw FileError(name_, "version", "must be 2 or 3, got " + std::to_string(version_));
    const auto tensor_count = reader.read<std::uint64_t>("tensor count");
    const auto value_count = reader.read<std::uint64_t>("metadata count");
    // The shortest entries: an empty name, 0 dimensions, type, offset; an empty key, type, one byte.
    detail::require_gguf_count(tensor_count, 24, reader, "tensor count");
    detail::require_gguf_count(value_count, 13, reader, "metadata count");
    for (std::uint64_t i = 0; i < value_count; ++i) read_value(reader);
    read_tensors(reader, bytes, tensor_count);
  }

  std::uint32_t version() const noexcept { return version_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const noexcept { return metadata_; }

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

  void read_value(ByteReader& reader) {
    const std::string key = detail::read_gguf_name(reader, "metadata key " + std::to_string(metadata_.size()));
    if (!metadata_.emplace(key, detail::read_gguf_value(reader, key)).second) fail(key, "stands twice in the file");
  }

  /// Where a tensor lies, as the file states it.
  struct Place {
    Tensor* tensor;
    const GgufTensorType* type;  ///< null for a type of unknown size
    std::uint64_t offset;
  };

  void read_tensors(ByteReader& reader, std::span<const std::byte> bytes, std::uint64_t count) {
    std::vector<Place> places;
    for (std::uint64_t i = 0; i < count; ++i) {
      Tensor tensor;
      tensor.name = detail::read_gguf_name(reader, "name of tensor " + std::to_string(i));
      tensor.file = name_;
      tensor.owner = owner_;
      const auto dimensions = reader.read<std::uint32_t>(tensor.name);
      if (dimensions > 4) tensor.fail("has " + std::to_string(dimensions) + " dimensions, at most 4 are allowed");
      for (std::uint32_t d = 0; d < dimensions; ++d) tensor.add_extent(reader.read<std::uint64_t>(tensor.name));
      std::reverse(tensor.shape.begin(), tensor.shape.end());
      const auto number = reader.read<std::uint32_t>(tensor.name);
      const GgufTensorType* type = find_gguf_tensor_type(number);
      tensor.type = type != nullptr ? std::string(type->name) : "ggml type " + std::to_string(number);
      if (type != nullptr) tensor.format = type->format;
      const auto offset = reader.read<std::uint64_t>(tensor.name);
      const auto [entry, added] = tensors_.emplace(tensor.name, tensor);
      if (!added) tensor.fail("stands twice in the file");
      places.push_back({&entry->second, type, offset});
    }
    const Index alignment = integer_or("general.alignment", 32, 1, Index(1) << 20);
    if ((alignment & (alignment - 1)) != 0) fail("general.alignment", "must be a power of two");
    const auto align = static_cast<std::size_t>(alignment);
    const std::size_t data_begin = (reader.position() + align - 1) / align * align;
    const auto data = bytes.subspan(std::min(data_begin, bytes.size()));
    for (const Place& place : places) locate(place, data, align);
    refuse_overlap(places);
  }

  static void locate(const Place& place, std::span<const std::byte> data, std::size_t alignment) {
    Tensor& tensor = *place.tensor;
    if (place.offset % alignment != 0)
      tensor.fail("its offset " + std::to_string(place.offset) + " is no multiple of the file's alignment " +
                  std::to_string(alignment));
    if (place.type == nullptr) return;
    const Index row = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (row % place.type->block_values != 0)
      tensor.fail("rows of " + std::to_string(row) + " values are no whole number of " + tensor.type + " blocks");
    Index size = 0;
    if (__builtin_mul_overflow(tensor.size() / place.type->block_values, place.type->block_bytes, &size))
      tensor.fail("shape overflows");
    if (place.offset > data.size() || static_cast<std::uint64_t>(size) > data.size() - place.offset)
      tensor.fail("its " + std::to_string(size) + " bytes at offset " + std::to_string(place.offset) +
                  " lie outside the data of " + std::to_string(data.size()) + " bytes: is the file complete?");
    tensor.data = data.subspan(static_cast<std::size_t>(place.offset), static_cast<std::size_t>(size));
  }

  static void refuse_overlap(std::vector<Place>& places) {
    std::erase_if(places, [](const Place& place) { return place.tensor->data.empty(); });
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.offset < b.offset; });
    for (std::size_t i = 1; i < places.size(); ++i)
      if (places[i].offset - places[i - 1].offset < places[i - 1].tensor->data.size())
        places[i].tensor->fail("shares bytes with tensor " + places[i - 1].tensor->name);
  }

  std::shared_ptr<const void> owner_;
  std::uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
};

}  // namespace embedpool::io
