#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace embedpool::program {

/// A number that changes with anything that was added: whether two runs saw the same. Not for secrets.
///
/// Source  FNV-1a
class Digest {
 public:
  void add(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3u; }
  /// A text and its end, so that "ab" and "c" differ from "a" and "bc".
  void add(std::string_view text) {
    for (const char c : text) add(std::uint64_t{static_cast<unsigned char>(c)});
    add(std::uint64_t{'\n'});
  }
  std::string text() const { return std::to_string(hash_); }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace embedpool::program
