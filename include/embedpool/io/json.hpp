#pragma once
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/io/mapped_file.hpp"

namespace embedpool::io {

using Json = nlohmann::json;

/// Deepest nesting that a configuration or header may have; real ones have about ten levels.
inline constexpr int json_depth_limit = 64;

/// Largest JSON file that is read; the largest real tokenizers take about 40 MB.
inline constexpr std::size_t json_size_limit = std::size_t(1) << 28;

/// What a key that stands twice in one object means. Most software silently takes the last.
enum class DuplicateKeys { last_counts, refused };

namespace detail {

/// Errors: FileError when brackets outside strings nest deeper than the limit. The parser itself does not recurse, but
/// printing and destroying a value does, so depth is bounded before anything is built.
inline void require_shallow(std::string_view text, std::string_view file, std::string_view where) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > json_depth_limit) throw FileError(file, where, "JSON is nested too deeply");
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

/// A callback for the parser that throws FileError when an object names a key twice.
inline Json::parser_callback_t refuse_duplicate_keys(std::string_view file, std::string_view where) {
  return [=, open = std::vector<std::set<std::string>>()](int, Json::parse_event_t event, Json& value) mutable {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(value.get<std::string>()).second)
      throw FileError(file, where, "the key '" + value.get<std::string>().substr(0, 200) + "' stands twice");
    return true;
  };
}

}  // namespace detail

/// Parses JSON text that came from `file`. Errors: FileError with line and column; what JSON does not know (NaN,
/// comments, invalid UTF-8, numbers beyond double) and too deep nesting are refused.
inline Json parse_json(std::string_view text, std::string_view file, std::string_view where = "",
                       DuplicateKeys duplicates = DuplicateKeys::last_counts) {
  detail::require_shallow(text, file, where);
  try {
    if (duplicates == DuplicateKeys::last_counts) return Json::parse(text);
    return Json::parse(text, detail::refuse_duplicate_keys(file, where));
  } catch (const Json::exception& error) {
    std::string cause = error.what();
    const auto detail = cause.find("] ");  // drops the library's own numbering
    if (detail != std::string::npos) cause.erase(0, detail + 2);
    throw FileError(file, where, "not valid JSON: " + cause);
  }
}

/// JSON as text, on one line or indented. What is no UTF-8, as names of files may be, comes as U+FFFD.
inline std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

/// Reads and parses a whole JSON file.
inline Json read_json(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  if (bytes.size() > json_size_limit)
    throw FileError(file->name(), "", "is larger than a JSON file may be (" + std::to_string(json_size_limit >> 20) + " MB)");
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file->name());
}

/// A JSON object of a file, asked by key: every wrong type or range is a FileError that names file and key.
class JsonObject {
 public:
  JsonObject(const Json& json, std::string file, std::string where = "") : json_(&json), file_(std::move(file)),
                                                                          where_(std::move(where)) {
    if (!json.is_object()) throw FileError(file_, where_, "must be a JSON object");
  }

  /// True when the key is there and not null.
  bool has(std::string_view key) const {
    const auto found = json_->find(std::string(key));
    return found != json_->end() && !found->is_null();
  }
  const Json& at(std::string_view key) const {
    if (!has(key)) throw FileError(file_, place(key), "missing");
    return *json_->find(std::string(key));
  }
  JsonObject object(std::string_view key) const { return {at(key), file_, place(key)}; }

  /// Some writers store integers as 32.0; anything that is not a whole number in [low, high] is refused.
  Index integer(std::string_view key, Index low, Index high) const {
    const Json& value = at(key);
    Index integer = 0;
    bool whole = value.is_number_integer();
    if (value.is_number_unsigned()) {
      whole = value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    } else if (value.is_number_float()) {
      const double number = value.get<double>();
      whole = std::abs(number) < 0x1p63 && number == std::floor(number);
      if (whole) integer = static_cast<Index>(number);
    }
    if (whole && value.is_number_integer()) integer = value.get<Index>();
    if (!whole || integer < low || integer > high)
      throw FileError(file_, place(key), "must be an integer in [" + std::to_string(low) + ", " +
                                             std::to_string(high) + "], got " + value.dump().substr(0, 80));
    return integer;
  }
  Index integer_or(std::string_view key, Index otherwise, Index low, Index high) const {
    return has(key) ? integer(key, low, high) : otherwise;
  }
  double number(std::string_view key) const {
    const Json& value = at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      throw FileError(file_, place(key), "must be a finite number, got " + value.dump().substr(0, 80));
    return value.get<double>();
  }
  double number_or(std::string_view key, double otherwise) const { return has(key) ? number(key) : otherwise; }
  bool boolean_or(std::string_view key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!at(key).is_boolean()) throw FileError(file_, place(key), "must be true or false");
    return at(key).get<bool>();
  }
  std::string string(std::string_view key) const {
    if (!at(key).is_string()) throw FileError(file_, place(key), "must be a string");
    return at(key).get<std::string>();
  }
  std::string string_or(std::string_view key, std::string otherwise) const {
    return has(key) ? string(key) : otherwise;
  }

  [[noreturn]] void fail(std::string_view key, std::string_view cause) const { throw FileError(file_, place(key), cause); }
  const std::string& file() const noexcept { return file_; }
  const Json& json() const noexcept { return *json_; }

 private:
  std::string place(std::string_view key) const { return (where_.empty() ? "" : where_ + ".") + std::string(key); }

  const Json* json_;
  std::string file_;
  std::string where_;
};

}  // namespace embedpool::io
