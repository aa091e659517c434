#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/io/atomic_file.hpp"
#include "embedpool/io/json.hpp"

namespace embedpool::io {

/// Collects tensors and writes them as one safetensors file, whole or not at all, in the order in which they were added
/// and with equal bytes for equal contents.
///
/// Errors  ShapeError when a name is added twice or a shape does not fit; FileError when the file cannot be written
class SafetensorsWriter {
 public:
  void add_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }

  /// A tensor with the given shape, its values in row-major order; they are copied.
  template <Real S>
  void add(const std::string& name, const std::vector<Index>& shape, std::span<const S> values) {
    add_bytes(name, std::is_same_v<S, float> ? "F32" : "F64", shape, std::as_bytes(values), sizeof(S));
  }
  void add(const std::string& name, const std::vector<Index>& shape, std::span<const std::int64_t> values) {
    add_bytes(name, "I64", shape, std::as_bytes(values), sizeof(std::int64_t));
  }
  void add(const std::string& name, const std::vector<Index>& shape, std::span<const std::int32_t> values) {
    add_bytes(name, "I32", shape, std::as_bytes(values), sizeof(std::int32_t));
  }
  void add(const std::string& name, const std::vector<Index>& shape, std::span<const std::uint8_t> values) {
    add_bytes(name, "U8", shape, std::as_bytes(values), sizeof(std::uint8_t));
  }
  /// A matrix, or with `as_vector` its values as a vector.
  template <Real S>
  void add(const std::string& name, const Matrix<S>& values, bool as_vector = false) {
    const std::vector<Index> shape = as_vector ? std::vector<Index>{values.size()}
                                               : std::vector<Index>{values.rows(), values.cols()};
    add(name, shape, std::span<const S>(values.data(), static_cast<std::size_t>(values.size())));
  }

  void write(const std::filesystem::path& path) const {
    nlohmann::ordered_json header;
    if (!metadata_.empty()) header["__metadata__"] = metadata_;
    std::size_t offset = 0;
    for (const Entry& entry : entries_) {
      header[entry.name] = {{"dtype", entry.type},
                            {"shape", entry.shape},
                            {"data_offsets", {offset, offset + entry.bytes.size()}}};
      offset += entry.bytes.size();
    }
    std::string text = "{}";
    try {
      if (!header.is_null()) text = header.dump();
    } catch (const nlohmann::ordered_json::exception&) {
      throw FileError(path.string(), "header", "names and metadata must be valid UTF-8");
    }
    text.append((8 - text.size() % 8) % 8, ' ');  // tensors start at a multiple of 8
    AtomicFile file(path);
    std::byte length[8];
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::byte>((text.size() >> (8 * i)) & 0xff);
    file.write(length);
    file.write(text);
    for (const Entry& entry : entries_) file.write(entry.bytes);
    file.commit();
  }

 private:
  struct Entry {
    std::string name, type;
    std::vector<Index> shape;
    std::vector<std::byte> bytes;
  };

  void add_bytes(const std::string& name, std::string type, const std::vector<Index>& shape,
                 std::span<const std::byte> bytes, std::size_t value_bytes) {
    auto count = static_cast<Index>(value_bytes);
    for (const Index extent : shape)
      if (extent < 0 || __builtin_mul_overflow(count, extent, &count))
        throw ShapeError("safetensors writer: " + name + " has an extent that is negative or too large");
    require_equal("safetensors writer", "bytes of " + name, static_cast<Index>(bytes.size()), count);
    if (name == "__metadata__") throw ShapeError("safetensors writer: no tensor can be named __metadata__");
    for (const Entry& entry : entries_)
      if (entry.name == name) throw ShapeError("safetensors writer: " + name + " is added twice");
    entries_.push_back({name, std::move(type), shape, {bytes.begin(), bytes.end()}});
  }

  std::map<std::string, std::string> metadata_;
  std::vector<Entry> entries_;
};

}  // namespace embedpool::io
