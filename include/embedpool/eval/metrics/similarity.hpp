#pragma once
#include <cmath>
#include <span>

#include "embedpool/core/error.hpp"

namespace embedpool {

/// How alike two embeddings are; all are larger for more alike ones. Sums are in double, in rising order.
///
/// Shapes  a, b [D]
/// Source  the four similarities that MTEB reports for sentence pairs

/// a . b
inline double dot_similarity(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// a . b / (|a| |b|), and 0 where a or b is zero. Exactly 1 of a vector with itself, so that equal texts tie.
inline double cosine_similarity(std::span<const float> a, std::span<const float> b) noexcept {
  const double norms = std::sqrt(dot_similarity(a, a) * dot_similarity(b, b));  // the root of a square is exact
  return norms > 0 ? dot_similarity(a, b) / norms : 0;
}

/// -|a - b|, the Euclidean distance
inline double negative_euclidean(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return -std::sqrt(sum);
}

/// -sum over i of |a_i - b_i|, the Manhattan distance
inline double negative_manhattan(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
  return -sum;
}

}  // namespace embedpool
