#pragma once
#include <map>
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

  /// A tensor of reals with the given shape; values are copied.
  template <Real S>
  void add(const std::string& name, const std::vector<Index>& shape, std::span<const S> values) {
    add_bytes(name, std::is_same_v<S, float> ? "F32" : "F64", shape, std::as_bytes(values), sizeof(S));
  }
  void add(const std::string& name, const std::vector<Index>& shape, std::span<const std::int64_t> values) {
    add_bytes(name, "I64", shape, std::as_bytes(values), sizeof(std::int64_t));
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
    std::string text = header.is_null() ? "{}" : header.dump();
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
    Index count = 1;
    for (const Index extent : shape) count *= extent;
    require_equal("safetensors writer", "bytes of " + name, static_cast<Index>(bytes.size()),
                  count * static_cast<Index>(value_bytes));
    for (const Entry& entry : entries_)
      if (entry.name == name) throw ShapeError("safetensors writer: " + name + " is added twice");
    entries_.push_back({name, std::move(type), shape, {bytes.begin(), bytes.end()}});
  }

  std::map<std::string, std::string> metadata_;
  std::vector<Entry> entries_;
};

}  // namespace embedpool::io
