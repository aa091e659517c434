#pragma once
#include <charconv>
#include <cmath>
#include <string>

namespace embedpool::report {

/// A number with a fixed count of decimals and a point, whatever the locale; nothing for one that is not finite, so that
/// what could not be measured is a gap. Never "-0.00".
inline std::string fixed(double value, int decimals = 2) {
  if (!std::isfinite(value)) return "";
  char digits[400];  // the largest double has 309 digits before the point
  const auto result = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals);
  if (result.ec != std::errc()) return "";
  std::string text(digits, result.ptr);
  if (text[0] == '-' && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return text;
}

/// The same without zeros at the end: coordinates, and values that people point at.
inline std::string compact(double value, int decimals = 2) {
  std::string text = fixed(value, decimals);
  if (decimals < 1 || text.empty()) return text;  // no point
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace embedpool::report
