#pragma once
#include <string>
#include <vector>

#include "embedpool/io/json_lines.hpp"

namespace embedpool::io {

/// The strings of a key: a list of them, or a single one.
///
/// Errors  FileError naming file, line and key: it is missing, or holds something else or a text that is empty
inline std::vector<std::string> texts_of(const JsonObject& object, const std::string& key) {
  const Json& value = object.at(key);
  std::vector<std::string> texts;
  const auto add = [&](const Json& text) {
    if (!text.is_string()) object.fail(key, "must be a list of strings");
    texts.push_back(text.get<std::string>());
    if (texts.back().find_first_not_of(" \t\r\n\v\f") == std::string::npos) object.fail(key, "holds a text that is empty");
  };
  if (value.is_array()) {
    for (const Json& text : value) add(text);
  } else {
    add(value);
  }
  return texts;
}

/// The finite numbers of a key, as many as `count`.
inline std::vector<double> numbers_of(const JsonObject& object, const std::string& key, std::size_t count) {
  const Json& value = object.at(key);
  if (!value.is_array()) object.fail(key, "must be a list of numbers");
  std::vector<double> numbers;
  for (const Json& number : value) {
    if (!number.is_number()) object.fail(key, "holds something that is no number: " + number.dump().substr(0, 80));
    numbers.push_back(number.get<double>());
  }
  if (numbers.size() != count)
    object.fail(key, "holds " + std::to_string(numbers.size()) + " numbers, where there are " + std::to_string(count) + " texts");
  return numbers;
}

}  // namespace embedpool::io
