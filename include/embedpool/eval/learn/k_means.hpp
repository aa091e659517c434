#pragma once
#include <vector>

#include "embedpool/eval/learn/nearest_centre.hpp"

namespace embedpool {

/// What a clustering gives: centres [K, D], the cluster of each row, and how far it got.
struct Clustering {
  Matrix<float> centres;
  NearestCentres assignment;
  Index steps = 0;
};

/// k-means by Lloyd's iteration from given centres until no row changes its cluster, or `most_steps`.
///
///   c_k = mean of the rows whose nearest centre is c_k; a centre without rows stays where it is
///
/// Order  bits do not depend on the executor
inline Clustering k_means(Rows<const float> x, Matrix<float> centres, ExecutorRef executor, Index most_steps = 300) {
  require_equal("k_means", "columns of the centres", centres.cols(), x.cols);
  require_in("k_means", "centres", centres.rows(), 1, x.rows);
  Clustering result{std::move(centres), {}, 0};
  result.assignment = nearest_centres(x, result.centres, executor);
  while (result.steps < most_steps) {
    Matrix<double> sums = Matrix<double>::Zero(result.centres.rows(), x.cols);
    std::vector<double> counts(static_cast<std::size_t>(result.centres.rows()));
    for (Index i = 0; i < x.rows; ++i) {
      const Index k = result.assignment.centre[static_cast<std::size_t>(i)];
      counts[static_cast<std::size_t>(k)] += 1;
      for (Index d = 0; d < x.cols; ++d) sums(k, d) += static_cast<double>(x(i, d));
    }
    for (Index k = 0; k < sums.rows(); ++k)
      if (counts[static_cast<std::size_t>(k)] > 0)
        result.centres.row(k) = (sums.row(k) / counts[static_cast<std::size_t>(k)]).cast<float>();
    NearestCentres next = nearest_centres(x, result.centres, executor);
    ++result.steps;
    const bool settled = next.centre == result.assignment.centre;
    result.assignment = std::move(next);
    if (settled) break;
  }
  return result;
}

}  // namespace embedpool
