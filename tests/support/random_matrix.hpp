#pragma once
#include <random>

#include "embedpool/core/matrix.hpp"

namespace embedpool::test {

/// Standard normal values, the same for the same seed.
template <Real S = double>
Matrix<S> random_matrix(Index rows, Index cols, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  return Matrix<S>::NullaryExpr(rows, cols, [&] { return static_cast<S>(normal(generator)); });
}

}  // namespace embedpool::test
