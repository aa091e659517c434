#pragma once
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

namespace embedpool::io {

/// An array of `count` arrays: no key of a model that is read here has one, so its values are checked and passed over.
struct GgufNestedArray {
  std::uint64_t count = 0;
};

/// One metadata value of a GGUF file. Integers of every width are widened; strings are views into the file; arrays hold
/// one kind of element.
using GgufValue = std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string_view>, GgufNestedArray>;

}  // namespace embedpool::io
