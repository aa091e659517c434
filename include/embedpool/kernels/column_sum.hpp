#pragma once
#include <algorithm>

#include "embedpool/core/executor.hpp"
#include "embedpool/core/rows.hpp"

namespace embedpool {

/// out[j] += sum over rows of x[i][j]: the gradient of a bias.
///
/// Shapes  x [N, D], out [D]
/// Order   rows rise within a column, whoever runs it
template <Real S, Executor E>
void column_sum(Rows<const S> x, S* out, E& executor) {
  constexpr Index columns = 64;
  executor.parallel_for((x.cols + columns - 1) / columns, [&](Index job, Index) {
    const Index first = job * columns, end = std::min(first + columns, x.cols);
    for (Index i = 0; i < x.rows; ++i)
      for (Index j = first; j < end; ++j) out[j] += x(i, j);
  });
}

}  // namespace embedpool
