#pragma once
#include <string_view>

namespace embedpool {

/// The stars that tables of p-values put behind a number: * p <= 0.05, ** p <= 0.01, *** p <= 0.001.
constexpr std::string_view stars(double p) noexcept {
  if (p <= 0.001) return "***";
  if (p <= 0.01) return "**";
  return p <= 0.05 ? "*" : "";
}

}  // namespace embedpool
