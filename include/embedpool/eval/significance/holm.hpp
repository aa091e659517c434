#pragma once
#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

namespace embedpool {

/// Holm's step-down adjustment of the p-values of a family of m tests, in their order: a test whose adjusted value is at
/// most alpha is significant, and the chance of any false one in the family is at most alpha.
///
///   adjusted of the i-th smallest = max over j <= i of min(1, (m - j + 1) p_(j))
///
/// Source  Holm 1979
inline std::vector<double> holm_adjusted(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(order.size() - i) * p[order[i]]));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

}  // namespace embedpool
