#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "embedpool/core/matrix.hpp"

namespace embedpool::program {

/// A number that changes with anything that was added: whether two runs saw the same. Not for secrets.
///
/// Source  FNV-1a, of words where there is much
class Digest {
 public:
  void add(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }
  /// A text and its end, so that "ab" and "c" differ from "a" and "bc".
  void add(std::string_view text) {
    for (const char c : text) add(std::uint64_t{static_cast<unsigned char>(c)});
    add(std::uint64_t{'\n'});
  }
  /// Eight bytes at a time, for whole files: any single change is seen.
  void add(std::span<const std::byte> bytes) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes.size(); i += sizeof word, word = 0) {
      std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
      add(word);
    }
    add(std::uint64_t{bytes.size()});
  }
  void add(const Matrix<float>& values) {
    add(std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size()))));
  }
  std::string text() const { return std::to_string(hash_); }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace embedpool::program
