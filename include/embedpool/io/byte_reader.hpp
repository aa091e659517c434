#pragma once
#include <bit>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

static_assert(std::endian::native == std::endian::little, "model files are little-endian and used in place");

/// Reads little-endian values one after the other. Errors: FileError naming what was being read and where it ended.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  template <class T>
  T read(std::string_view what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }
  std::string_view read_text(std::size_t length, std::string_view what) {
    need(length, what);
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + position_, length);
    position_ += length;
    return text;
  }
  std::size_t position() const noexcept { return position_; }
  std::size_t left() const noexcept { return bytes_.size() - position_; }
  std::string_view file() const noexcept { return file_; }

 private:
  void need(std::size_t count, std::string_view what) const {
    if (count > left())
      throw FileError(file_, what, "the file ends at byte " + std::to_string(bytes_.size()) + ", " +
                                       std::to_string(count) + " bytes were needed from byte " +
                                       std::to_string(position_));
  }
  std::span<const std::byte> bytes_;
  std::string_view file_;
  std::size_t position_ = 0;
};

}  // namespace embedpool::io
