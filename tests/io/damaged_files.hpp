#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <string>

#include "embedpool/core/error.hpp"

namespace embedpool::test {

/// Calls load(bytes) with every damaged form of a valid file: cut at every byte of the first `header` bytes and at some
/// behind, and with every bit of those bytes flipped. A loader may take a damaged file that still makes sense; otherwise
/// it throws one of the library's errors, in one line that names the file. Anything else fails the test, or the
/// sanitizers stop it.
template <class Load>
void check_damaged_files(const std::string& valid, std::size_t header, const std::string& name, const Load& load) {
  int refused = 0;
  const auto check = [&](const std::string& damaged) {
    try {
      load(std::as_bytes(std::span(damaged.data(), damaged.size())));
    } catch (const Error& error) {
      ++refused;
      const std::string message = error.what();
      REQUIRE(message.find(name) != std::string::npos);
      REQUIRE(message.find('\n') == std::string::npos);
    }
  };
  header = std::min(header, valid.size());
  for (std::size_t length = 0; length < header; ++length) check(valid.substr(0, length));
  for (std::size_t length = header; length < valid.size(); length += 1 + (valid.size() - header) / 50)
    check(valid.substr(0, length));
  CHECK(refused > static_cast<int>(header) / 2);
  for (std::size_t byte = 0; byte < header; ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = valid;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      check(flipped);
    }
}

}  // namespace embedpool::test
