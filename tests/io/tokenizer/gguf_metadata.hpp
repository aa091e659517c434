#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/gguf.hpp"

namespace embedpool::testing {

/// Writes a GGUF file of metadata alone, in memory.
class GgufMetadata {
 public:
  GgufMetadata& text(std::string_view key, std::string_view value) { return entry(key, 8).put_text(value); }
  GgufMetadata& natural(std::string_view key, std::uint32_t value) { return entry(key, 4).put(value); }
  GgufMetadata& real(std::string_view key, float value) { return entry(key, 6).put(value); }
  GgufMetadata& flag(std::string_view key, bool value) { return entry(key, 7).put(static_cast<std::uint8_t>(value)); }
  GgufMetadata& texts(std::string_view key, const std::vector<std::string>& values) {
    entry(key, 9).put(std::uint32_t(8)).put(std::uint64_t(values.size()));
    for (const auto& value : values) put_text(value);
    return *this;
  }
  GgufMetadata& integers(std::string_view key, const std::vector<std::int32_t>& values) { return numbers(key, 5, values); }
  GgufMetadata& floats(std::string_view key, const std::vector<float>& values) { return numbers(key, 6, values); }

  std::string bytes() const {
    GgufMetadata file;
    file.body_ = "GGUF";
    file.put(std::uint32_t(3)).put(std::uint64_t(0)).put(entries_);
    return file.body_ + body_;
  }
  static io::GgufFile read(const std::string& bytes) {
    return io::GgufFile(std::as_bytes(std::span(bytes)), "memory.gguf");
  }

 private:
  template <class T>
  GgufMetadata& put(T value) {
    body_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufMetadata& put_text(std::string_view value) {
    put(std::uint64_t(value.size()));
    body_ += value;
    return *this;
  }
  GgufMetadata& entry(std::string_view key, std::uint32_t type) {
    ++entries_;
    return put_text(key).put(type);
  }
  template <class T>
  GgufMetadata& numbers(std::string_view key, std::uint32_t type, const std::vector<T>& values) {
    entry(key, 9).put(type).put(std::uint64_t(values.size()));
    for (const T value : values) put(value);
    return *this;
  }

  std::string body_;
  std::uint64_t entries_ = 0;
};

}  // namespace embedpool::testing
