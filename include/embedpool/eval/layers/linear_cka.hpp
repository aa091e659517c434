#pragma once
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/eval/layers/stacked_layers.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/pooling/heads/head_products.hpp"

namespace embedpool {

/// What linear_cka says of each pair of layers.
struct LinearCka {
  Matrix<double> similarity;  ///< [L, L], in [0, 1]
  /// [L, L]: the mean of the similarity over all orders of the texts of one of the two layers. Far from 0 where texts
  /// are few beside the dimensions in which they differ: a similarity means something as far as it is above this.
  Matrix<double> chance;
};

namespace detail {
/// X_c: the states less their mean over the texts, divided by one number a layer, which changes no similarity and keeps
/// the squares of large states in range: K = X_c X_c^T has trace 1.
inline Matrix<float> centred_layers(const StackedLayers& layers, ExecutorRef executor) {
  Matrix<float> centred(layers.texts(), layers.states().cols);
  executor.parallel_for(layers.layers(), [&](Index k, Index) {
    const Rows<const float> x = layers.layer(k);
    // The mean is moved by what each text differs from it, so that equal states give exactly themselves, and then 0.
    std::vector<double> mean(static_cast<std::size_t>(x.cols), 0.0);
    for (Index t = 0; t < x.rows; ++t)
      for (std::size_t d = 0; d < mean.size(); ++d)
        mean[d] += (static_cast<double>(x(t, static_cast<Index>(d))) - mean[d]) / static_cast<double>(t + 1);
    double squares = 0;
    const auto difference = [&](Index t, Index d) { return static_cast<double>(x(t, d)) - mean[static_cast<std::size_t>(d)]; };
    for (Index t = 0; t < x.rows; ++t)
      for (Index d = 0; d < x.cols; ++d) squares += difference(t, d) * difference(t, d);
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (Index t = 0; t < x.rows; ++t)
      for (Index d = 0; d < x.cols; ++d) centred(t, k * x.cols + d) = static_cast<float>(difference(t, d) * scale);
  });
  return centred;
}
}  // namespace detail

/// Linear centred kernel alignment of each two layers: do they place the same texts near each other, whatever the
/// directions are called?
///
///   CKA(X, Y) = <K, M> / (|K| |M|),  K = X_c X_c^T,  M = Y_c Y_c^T       X_c: X less its mean over the texts
///             = |X_c^T Y_c|^2 / (|X_c^T X_c| |Y_c^T Y_c|)                norms of Frobenius
///   chance    = tr K tr M / ((n - 1) |K| |M|)                            the mean over all orders of the rows of Y
///
/// Rotations of a layer, and one factor for all of it, change nothing; factors of single dimensions do. A layer whose
/// states are the same for all texts has nothing to compare: 0, also with itself.
/// The form with K is taken, for a few hundred texts are fewer than L D / 2 columns: 2 n^2 L D operations, not n L^2 D^2.
///
/// Shapes  states of n texts and L layers -> [L, L], symmetric
/// Memory  a copy of the states, and 64 L n numbers: rows of all K are made 64 at a time
/// Order   products are chains in float, sums over texts in double and in their order: bits do not depend on the executor
/// Errors  ShapeError for fewer than two texts
/// Source  Kornblith, Norouzi, Lee and Hinton 2019, "Similarity of Neural Network Representations Revisited". The chance
///         level is our own arithmetic: the mean of a permuted matrix is constant on its diagonal and off it
inline LinearCka linear_cka(const StackedLayers& layers, ExecutorRef executor) {
  require_in("linear_cka", "texts", layers.texts(), 2, Index(1) << 31);
  const Matrix<float> centred = detail::centred_layers(layers, executor);
  const StackedLayers x(rows_of(centred), layers.layers());
  const Index count = x.layers(), n = x.texts();
  constexpr Index block = 64;
  Matrix<double> product = Matrix<double>::Zero(count, count);  // <K_i, K_j>
  std::vector<double> trace(static_cast<std::size_t>(count), 0.0);
  Matrix<float> gram(count * std::min(block, n), n);
  for (Index first = 0; first < n; first += block) {
    const Index rows = std::min(block, n - first);
    const auto of_layer = [&](Index k) { return rows_of(gram).middle_rows(k * rows, rows); };
    for (Index k = 0; k < count; ++k) {
      head_math::product_nt(x.layer(k).middle_rows(first, rows), x.layer(k), StoreTo<float>{of_layer(k)}, executor);
      for (Index t = 0; t < rows; ++t) trace[static_cast<std::size_t>(k)] += static_cast<double>(of_layer(k)(t, first + t));
    }
    executor.parallel_for(count, [&](Index i, Index) {
      for (Index j = 0; j <= i; ++j)
        for (Index t = 0; t < rows; ++t) product(i, j) += dot_similarity(of_layer(i).row(t), of_layer(j).row(t));
    });
  }
  LinearCka result{Matrix<double>::Zero(count, count), Matrix<double>::Zero(count, count)};
  for (Index i = 0; i < count; ++i)
    for (Index j = 0; j <= i; ++j) {
      const double norms = std::sqrt(product(i, i) * product(j, j));  // the root of a square is exact: 1 on the diagonal
      if (!(norms > 0)) continue;
      result.similarity(i, j) = result.similarity(j, i) = product(i, j) / norms;
      const double traces = trace[static_cast<std::size_t>(i)] * trace[static_cast<std::size_t>(j)];
      result.chance(i, j) = result.chance(j, i) = traces / (static_cast<double>(n - 1) * norms);
    }
  return result;
}

}  // namespace embedpool
