#pragma once
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "embedpool/io/json.hpp"
#include "embedpool/io/named_tensors.hpp"

namespace embedpool::io {

/// One safetensors file: 8 bytes header length, a JSON header, then the tensors' bytes.
///
/// Everything is checked when the file is opened: header inside the file, no name twice, types known, offsets in order
/// and inside the data, sizes equal to shape times type, every byte in one tensor. Tensors are views of the mapped file.
///
/// Errors  FileError naming file, tensor and cause
/// Source  the format's description in huggingface/safetensors, README
class SafetensorsFile : public NamedTensors {
 public:
  static SafetensorsFile open(const std::filesystem::path& path) {
    auto file = MappedFile::open(path);
    return SafetensorsFile(file->bytes(), file->name(), file);
  }

  /// From memory that `owner` keeps alive; `name` is for messages.
  SafetensorsFile(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner = nullptr)
      : NamedTensors(std::move(name)) {
    constexpr std::size_t length_bytes = 8;
    if (bytes.size() < length_bytes) throw FileError(name_, "header", "the file ends inside the header length");
    std::uint64_t header_bytes = 0;
    for (std::size_t i = 0; i < length_bytes; ++i)
      header_bytes |= static_cast<std::uint64_t>(std::to_integer<unsigned>(bytes[i])) << (8 * i);
    if (header_bytes > header_limit) throw FileError(name_, "header", "is larger than 100 MB");
    if (header_bytes > bytes.size() - length_bytes)
      throw FileError(name_, "header", "the file ends inside the header of " + std::to_string(header_bytes) + " bytes");
    const Json header = parse_json({reinterpret_cast<const char*>(bytes.data()) + length_bytes,
                                    static_cast<std::size_t>(header_bytes)}, name_, "header", DuplicateKeys::refused);
    if (!header.is_object()) throw FileError(name_, "header", "must be a JSON object");
    const auto data = bytes.subspan(length_bytes + static_cast<std::size_t>(header_bytes));
    for (const auto& [key, value] : header.items())
      key == "__metadata__" ? read_metadata(value) : read_tensor(key, value, data, owner);
    refuse_overlap(data.size());
  }

  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }

 private:
  static constexpr std::uint64_t header_limit = 100'000'000;  // that of the reference implementation

  struct Type {
    std::string_view name;
    Index bytes;
    std::optional<Format> format;
  };
  static const Type* find_type(std::string_view name) {
    static constexpr Type types[] = {{"F64", 8, Format::F64}, {"F32", 4, Format::F32}, {"F16", 2, Format::F16},
                                     {"BF16", 2, Format::BF16}, {"I64", 8, {}},        {"I32", 4, {}},
                                     {"I16", 2, {}},          {"I8", 1, {}},          {"U64", 8, {}},
                                     {"U32", 4, {}},          {"U16", 2, {}},         {"U8", 1, {}},
                                     {"BOOL", 1, {}},         {"F8_E4M3", 1, {}},     {"F8_E5M2", 1, {}},
                                     {"F8_E8M0", 1, {}},      {"C64", 8, {}}};
    const auto* found = std::find_if(std::begin(types), std::end(types), [&](const Type& t) { return t.name == name; });
    return found == std::end(types) ? nullptr : found;
  }

  void read_metadata(const Json& value) {
    if (!value.is_object()) throw FileError(name_, "__metadata__", "must be a JSON object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) throw FileError(name_, "__metadata__." + key, "must be a string");
      metadata_[key] = text.get<std::string>();
    }
  }

  void read_tensor(const std::string& tensor_name, const Json& value, std::span<const std::byte> data,
                   const std::shared_ptr<const void>& owner) {
    Tensor tensor;
    tensor.name = tensor_name;
    tensor.file = name_;
    tensor.owner = owner;
    const JsonObject entry(value, name_, "tensor " + tensor_name);
    tensor.type = entry.string("dtype");
    const Type* type = find_type(tensor.type);
    if (type == nullptr) tensor.fail("unknown type " + tensor.type);
    tensor.format = type->format;
    const Json& shape = entry.at("shape");
    if (!shape.is_array() || shape.size() > 8) tensor.fail("shape must be an array of at most 8 extents");
    for (const Json& extent : shape) {
      if (!extent.is_number_unsigned()) tensor.fail("shape must hold extents of 0 or more");
      tensor.add_extent(extent.get<std::uint64_t>());
    }
    Index bytes = 0;
    if (__builtin_mul_overflow(tensor.size(), type->bytes, &bytes)) tensor.fail("shape overflows");
    const Json& offsets = entry.at("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
      tensor.fail("data_offsets must be two numbers of 0 or more");
    const auto begin = offsets[0].get<std::uint64_t>();
    const auto end = offsets[1].get<std::uint64_t>();
    if (begin > end || end > data.size())
      tensor.fail("data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) + ") lie outside the data of " +
                  std::to_string(data.size()) + " bytes");
    if (end - begin != static_cast<std::uint64_t>(bytes))
      tensor.fail("holds " + std::to_string(end - begin) + " bytes where " + tensor.type + " " + tensor.shape_text() +
                  " needs " + std::to_string(bytes));
    tensor.data = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    extents_.push_back({begin, end, tensor_name});
    tensors_.emplace(tensor_name, std::move(tensor));
  }

  /// The format wants the data covered once, without holes.
  void refuse_overlap(std::size_t data_bytes) {
    std::sort(extents_.begin(), extents_.end(),
              [](const Extent& a, const Extent& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
    std::uint64_t reached = 0;
    for (const Extent& extent : extents_) {
      if (extent.begin != reached)
        throw FileError(name_, "tensor " + extent.name, extent.begin < reached ? "shares bytes with another tensor"
                                                                              : "leaves a hole in the data before it");
      reached = extent.end;
    }
    if (reached != data_bytes)
      throw FileError(name_, "data", std::to_string(data_bytes - reached) + " bytes belong to no tensor");
    extents_.clear();
  }

  struct Extent {
    std::uint64_t begin, end;
    std::string name;
  };
  std::map<std::string, std::string> metadata_;
  std::vector<Extent> extents_;
};

}  // namespace embedpool::io
