#pragma once
#include <CLI/CLI.hpp>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

namespace embedpool::program {

/// A check that says what a flag's number must be. (CLI11's own lets nan pass, and names the largest double as a bound.)
inline CLI::Validator number_check(std::string kind, std::string must, bool (*fits)(double)) {
  const auto problem = [must, fits](const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool whole = !text.empty() && end == text.c_str() + text.size();
    if (text.size() > 1 && text[0] == '0' && std::isdigit(static_cast<unsigned char>(text[1])) != 0)
      return "'" + text + "' must not begin with a zero";  // whole numbers would be read as octal ones
    return whole && std::isfinite(value) && fits(value) ? std::string() : "'" + text + "' must be a finite number " + must;
  };
  return CLI::Validator(problem, std::move(kind));
}
/// Refuses an empty value, as an unset variable of a shell leaves it, where it would mean that the flag was not given.
inline CLI::Validator not_empty() {
  return CLI::Validator([](const std::string& text) { return text.empty() ? std::string("must not be empty") : std::string(); }, "");
}
/// Whether a text is digits that do not begin with a zero: CLI11 would read an octal number.
inline bool is_decimal(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos && (text == "0" || text[0] != '0');
}
/// A whole number in decimal digits, maybe behind a minus.
inline CLI::Validator decimal() {
  const auto problem = [](const std::string& text) {
    return is_decimal(text.substr(text.starts_with('-') ? 1 : 0)) ? std::string()
                                                                  : "'" + text + "' must be a whole number in decimal digits";
  };
  return CLI::Validator(problem, "");
}
/// A whole number that 64 bits hold; CLI11 takes the largest of them for a larger one.
inline CLI::Validator natural_number() {
  const auto problem = [](const std::string& text) {
    errno = 0;
    std::strtoull(text.c_str(), nullptr, 10);
    return is_decimal(text) && errno == 0 ? std::string()
                                          : "'" + text + "' must be a whole number from 0 to 18446744073709551615";
  };
  return CLI::Validator(problem, "NATURAL");
}
inline CLI::Validator positive_number() {
  return number_check("POSITIVE", "above 0", [](double value) { return value > 0; });
}
inline CLI::Validator non_negative_number() {
  return number_check("NONNEGATIVE", "of 0 or more", [](double value) { return value >= 0; });
}

}  // namespace embedpool::program
