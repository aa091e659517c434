#pragma once
#include <string>

#include "embedpool/io/json.hpp"
#include "embedpool/io/line_reader.hpp"

namespace embedpool::io {

/// JSON lines: one JSON value a line, of a file or standard input ("-"), plain or gzip-compressed. Lines of white space
/// alone are passed over.
///
/// Errors  FileError naming file and line, as LineReader and parse_json throw them
class JsonLines {
 public:
  explicit JsonLines(const std::string& path) : lines_(path) {}

  /// The next value. False at the end of the file.
  bool next(Json& value) {
    while (lines_.next(line_)) {
      if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
      value = parse_json(line_, lines_.name(), place());
      return true;
    }
    return false;
  }

  /// The value that next() gave last, asked by key. Errors: FileError unless it is an object.
  JsonObject object(const Json& value) const { return {value, lines_.name(), place()}; }

  const LineReader& lines() const noexcept { return lines_; }

 private:
  std::string place() const { return "line " + std::to_string(lines_.line_number()); }

  LineReader lines_;
  std::string line_;
};

}  // namespace embedpool::io
