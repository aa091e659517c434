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

/// A file is missing, truncated, corrupt, hostile, or does not fit what it is used for: "<file>: <where>: <cause>".
class FileError : public Error {
 public:
  FileError(std::string_view file, std::string_view where, std::string_view cause)
      : Error(std::string(file) + ": " + std::string(where) + (where.empty() ? "" : ": ") + std::string(cause)) {}
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
