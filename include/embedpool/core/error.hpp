#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// Base of every exception that the library throws on purpose. The message names place and culprit in one line.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A caller broke a shape or range precondition.
class ShapeError : public Error {
 public:
  using Error::Error;
};

namespace detail {
/// Text of a file as one line that is safe on any terminal: control characters as \xNN, cut after `longest` bytes.
inline std::string printable(std::string_view text, std::size_t longest) {
  constexpr char digits[] = "0123456789abcdef";
  std::string line;
  std::size_t end = text.size() < longest ? text.size() : longest;
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole characters
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) line += c;
    else line += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return end < text.size() ? line + "..." : line;
}
}  // namespace detail

/// A file is missing, truncated, corrupt, hostile, or does not fit what it is used for: "<file>: <where>: <cause>".
/// Names and values of a hostile file may stand in the message: it is one line of bounded length all the same.
class FileError : public Error {
 public:
  FileError(std::string_view file, std::string_view where, std::string_view cause)
      : Error(detail::printable(file, 4096) + ": " + detail::printable(where, 300) + (where.empty() ? "" : ": ") +
              detail::printable(cause, 1000)) {}
};

/// Throws ShapeError("<where>: <what> must be in [low, high], got <got>") unless low <= got <= high.
inline void require_in(std::string_view where, std::string_view what, Index got, Index low, Index high) {
  if (low <= got && got <= high) [[likely]]
    return;
  throw ShapeError(std::string(where) + ": " + std::string(what) + " must be in [" + std::to_string(low) + ", " +
                   std::to_string(high) + "], got " + std::to_string(got));
}

/// Throws ShapeError("<where>: <what> must be <expected>, got <got>") unless got == expected.
inline void require_equal(std::string_view where, std::string_view what, Index got, Index expected) {
  if (got == expected) [[likely]]
    return;
  throw ShapeError(std::string(where) + ": " + std::string(what) + " must be " + std::to_string(expected) + ", got " +
                   std::to_string(got));
}

}  // namespace embedpool
