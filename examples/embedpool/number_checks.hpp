#pragma once
#include <CLI/CLI.hpp>
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
    return whole && std::isfinite(value) && fits(value) ? std::string() : "'" + text + "' must be a finite number " + must;
  };
  return CLI::Validator(problem, std::move(kind));
}
inline CLI::Validator positive_number() {
  return number_check("POSITIVE", "above 0", [](double value) { return value > 0; });
}
inline CLI::Validator non_negative_number() {
  return number_check("NONNEGATIVE", "of 0 or more", [](double value) { return value >= 0; });
}

}  // namespace embedpool::program
