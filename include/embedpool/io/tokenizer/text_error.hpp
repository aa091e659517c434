#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "embedpool/core/error.hpp"

namespace embedpool::io {

/// A text cannot be tokenized: it is not valid UTF-8, too long, or a pattern of the tokenizer gives up on it.
class TextError : public Error {
 public:
  TextError(std::string_view cause, std::size_t byte)
      : Error("text: " + std::string(cause) + " at byte " + std::to_string(byte)) {}
};

}  // namespace embedpool::io
