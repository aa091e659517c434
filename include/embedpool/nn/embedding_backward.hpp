#pragma once
#include <algorithm>
#include <span>

#include "embedpool/core/executor.hpp"
#include "embedpool/core/matrix.hpp"

namespace embedpool {

/// The way back through x = scale * Embedding[ids]: dtable[id] += scale * the gradient of each token with that id.
///
/// Shapes  ids [N], gradient [N, D], table [vocabulary, D]
/// Order   tokens rise, whoever runs it
template <Real S, Executor E>
void embedding_backward(std::span<const TokenId> ids, S scale, Rows<const S> gradient, Matrix<S>& table, E& executor) {
  constexpr Index columns = 64;
  executor.parallel_for((gradient.cols + columns - 1) / columns, [&](Index job, Index) {
    const Index end = std::min(gradient.cols, (job + 1) * columns);
    for (Index i = 0; i < gradient.rows; ++i)
      for (Index j = job * columns; j < end; ++j)
        table(ids[static_cast<std::size_t>(i)], j) += scale * gradient(i, j);
  });
}

}  // namespace embedpool
