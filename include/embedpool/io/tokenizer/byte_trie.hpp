#pragma once
#include <cstdint>
#include <string_view>

#include "embedpool/io/tokenizer/flat_map.hpp"

namespace embedpool::io::tokenizing {

/// Strings with a number each, found by walking byte by byte from the root: all prefixes of a text in one pass.
class ByteTrie {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;
  static constexpr std::uint32_t root = 0;

  /// A string that is there already keeps its last value.
  void insert(std::string_view key, std::uint32_t value) {
    std::uint32_t node = root;
    for (const char c : key) {
      const std::uint32_t next = child(node, c);
      if (next != none) {
        node = next;
        continue;
      }
      edges_.insert(edge(node, c), ++nodes_);
      node = nodes_;
    }
    values_.assign(node, value);
  }

  std::uint32_t child(std::uint32_t node, char byte) const noexcept {
    return static_cast<std::uint32_t>(edges_.find(edge(node, byte)));  // absent becomes none
  }
  /// The value of the string that ends in `node`, or none.
  std::uint32_t value(std::uint32_t node) const noexcept { return static_cast<std::uint32_t>(values_.find(node)); }

 private:
  static std::uint64_t edge(std::uint32_t node, char byte) noexcept {
    return static_cast<std::uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
  }
  FlatMap edges_;
  FlatMap values_;
  std::uint32_t nodes_ = 0;
};

}  // namespace embedpool::io::tokenizing
