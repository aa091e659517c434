#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/layers/stacked_layers.hpp"
#include "embedpool/eval/metrics/similarity.hpp"

namespace embedpool {

/// How alike the states of the same text are in two layers:
///
///   c[i][j] = mean over texts of x_i . x_j / (|x_i| |x_j|)
///
/// A text whose state is zero in either layer counts as 0, also for i = j.
/// Shapes  states of n texts and L layers -> [L, L], symmetric
/// Order   sums are in double and in the order of the texts: bits do not depend on the executor
/// Cost    n L^2 D operations
/// Errors  ShapeError when there is no text
inline Matrix<double> mean_layer_cosine(const StackedLayers& layers, ExecutorRef executor) {
  require_in("mean_layer_cosine", "texts", layers.texts(), 1, Index(1) << 40);
  const Index count = layers.layers();
  Matrix<double> length(count, layers.texts());
  executor.parallel_for(count, [&](Index i, Index) {
    const Rows<const float> x = layers.layer(i);
    for (Index t = 0; t < x.rows; ++t) length(i, t) = std::sqrt(dot_similarity(x.row(t), x.row(t)));
  });
  Matrix<double> cosine(count, count);
  executor.parallel_for(count, [&](Index i, Index) {
    const Rows<const float> x = layers.layer(i);
    for (Index j = 0; j <= i; ++j) {
      const Rows<const float> y = layers.layer(j);
      double sum = 0;
      for (Index t = 0; t < x.rows; ++t)
        if (length(i, t) > 0 && length(j, t) > 0) sum += dot_similarity(x.row(t), y.row(t)) / (length(i, t) * length(j, t));
      cosine(i, j) = cosine(j, i) = sum / static_cast<double>(x.rows);
    }
  });
  return cosine;
}

}  // namespace embedpool
