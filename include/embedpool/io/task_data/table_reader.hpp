#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/line_reader.hpp"

namespace embedpool::io {

/// A table of tab-separated values, plain or gzip-compressed: a header line that names the columns, then a record a line.
/// Nothing is quoted or escaped. Columns are asked for by name, may stand in any order and beside others.
///
/// Errors  FileError naming file and line: a column is missing or named twice, a record has more or fewer fields than the
///         header, there is no header; what LineReader throws
class TableReader {
 public:
  TableReader(const std::string& path, const std::vector<std::string>& columns) : lines_(path) {
    if (!lines_.next(line_)) throw FileError(lines_.name(), "", "is empty, where a header line must be");
    const auto header = split();
    width_ = header.size();
    for (const std::string& column : columns) {
      const auto found = std::find(header.begin(), header.end(), column);
      if (found == header.end()) fail("the header names no column '" + column + "'");
      if (std::find(found + 1, header.end(), column) != header.end()) fail("the header names '" + column + "' twice");
      places_.push_back(static_cast<std::size_t>(found - header.begin()));
    }
  }

  /// Goes to the next record. False at the end of the file.
  bool next() {
    if (!lines_.next(line_)) return false;
    fields_ = split();
    if (fields_.size() != width_)
      fail("has " + std::to_string(fields_.size()) + " fields, where the header has " + std::to_string(width_));
    return true;
  }

  /// A field of the record, by the number of its column in the constructor's list.
  std::string_view field(std::size_t column) const { return fields_[places_[column]]; }

  /// A field that must have a character other than white space.
  std::string text(std::size_t column, std::string_view name) const {
    const std::string_view value = field(column);
    if (value.find_first_not_of(" \r") == std::string_view::npos) fail(std::string(name) + " is empty");
    return std::string(value);
  }

  /// A field as a finite number.
  double number(std::size_t column, std::string_view name) const {
    double value = 0;
    const std::string_view written = field(column);
    const auto end = written.data() + written.size();
    const auto read = std::from_chars(written.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end || !std::isfinite(value))
      fail_at(name, " is no number: '", written);
    return value;
  }

  /// A field as a whole number.
  int integer(std::size_t column, std::string_view name) const {
    int value = 0;
    const std::string_view written = field(column);
    const auto end = written.data() + written.size();
    const auto read = std::from_chars(written.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end)
      fail_at(name, " is no whole number: '", written);
    return value;
  }

  /// A FileError at the line of the record.
  [[noreturn]] void fail(std::string_view cause) const { lines_.fail(cause); }
  const std::string& name() const noexcept { return lines_.name(); }

 private:
  /// NAME CAUSE'WRITTEN', where the cause ends in the opening quote.
  [[noreturn]] void fail_at(std::string_view name, std::string_view cause, std::string_view written) const {
    std::string message(name);
    message += cause;
    message += written;
    message += '\'';
    fail(message);
  }
  std::vector<std::string_view> split() const {
    std::vector<std::string_view> fields;
    for (std::string_view rest = line_;;) {
      const std::size_t tab = rest.find('\t');
      fields.push_back(rest.substr(0, tab));
      if (tab == std::string_view::npos) return fields;
      rest.remove_prefix(tab + 1);
    }
  }

  LineReader lines_;
  std::string line_;
  std::size_t width_ = 0;
  std::vector<std::size_t> places_;
  std::vector<std::string_view> fields_;
};

}  // namespace embedpool::io
