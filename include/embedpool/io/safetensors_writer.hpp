#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/io/atomic_file.hpp"
#include "embedpool/io/json.hpp"

namespace embedpool::io {

/// Collects tensors and writes them as one safetensors file, whole or not at all, in the order in which they were added
/// and with equal bytes for equal contents. Tensors are copied, or made while the file is written.
///
/// Errors  ShapeError when a name is added twice or a shape does not fit; FileError when the file cannot be written
class SafetensorsWriter {
 public:
  /// Takes the next bytes of a tensor.
  using Sink = std::function<void(std::span<const std::byte>)>;

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

  /// A tensor of the file's type `type` ("F32", "BF16" ...) of `value_bytes` bytes a value, which nobody holds: each
  /// write() calls `make(sink)` once, which hands over its bytes in row-major order, in parts of any size.
  void add_made(const std::string& name, std::string type, std::size_t value_bytes, const std::vector<Index>& shape,
                std::function<void(const Sink&)> make) {
    entries_.push_back({name, std::move(type), shape, checked_size(name, shape, value_bytes), {}, std::move(make)});
  }

  void write(const std::filesystem::path& path) const {
    nlohmann::ordered_json header;
    if (!metadata_.empty()) header["__metadata__"] = metadata_;
    std::size_t offset = 0;
    for (const Entry& entry : entries_) {
      header[entry.name] = {{"dtype", entry.type},
                            {"shape", entry.shape},
                            {"data_offsets", {offset, offset + entry.size}}};
      offset += entry.size;
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
    for (const Entry& entry : entries_) {
      if (!entry.make) {
        file.write(entry.bytes);
        continue;
      }
      std::size_t made = 0;
      entry.make([&](std::span<const std::byte> part) {
        made += part.size();
        file.write(part);
      });
      require_equal("safetensors writer", "bytes made of " + entry.name, static_cast<Index>(made),
                    static_cast<Index>(entry.size));
    }
    file.commit();
  }

 private:
  struct Entry {
    std::string name, type;
    std::vector<Index> shape;
    std::size_t size;  ///< in bytes
    std::vector<std::byte> bytes;
    std::function<void(const Sink&)> make;  ///< empty where the bytes are held
  };

  void add_bytes(const std::string& name, std::string type, const std::vector<Index>& shape,
                 std::span<const std::byte> bytes, std::size_t value_bytes) {
    const std::size_t size = checked_size(name, shape, value_bytes);
    require_equal("safetensors writer", "bytes of " + name, static_cast<Index>(bytes.size()), static_cast<Index>(size));
    entries_.push_back({name, std::move(type), shape, size, {bytes.begin(), bytes.end()}, {}});
  }

  /// The bytes of a tensor whose name is free.
  std::size_t checked_size(const std::string& name, const std::vector<Index>& shape, std::size_t value_bytes) const {
    auto size = static_cast<Index>(value_bytes);
    for (const Index extent : shape)
      if (extent < 0 || __builtin_mul_overflow(size, extent, &size))
        throw ShapeError("safetensors writer: " + name + " has an extent that is negative or too large");
    if (name == "__metadata__") throw ShapeError("safetensors writer: no tensor can be named __metadata__");
    for (const Entry& entry : entries_)
      if (entry.name == name) throw ShapeError("safetensors writer: " + name + " is added twice");
    return static_cast<std::size_t>(size);
  }

  std::map<std::string, std::string> metadata_;
  std::vector<Entry> entries_;
};

}  // namespace embedpool::io
