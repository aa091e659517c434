#pragma once
#include <span>
#include <vector>

#include "embedpool/eval/learn/nearest_centre.hpp"

namespace embedpool {

/// What a clustering gives: centres [K, D], the cluster of each row, and how far it got.
struct Clustering {
  Matrix<float> centres;
  NearestCentres assignment;
  Index steps = 0;
};

namespace detail {

/// The sums of the rows of each cluster, in double, and how many there are. A row that changes its cluster is taken from one
/// sum and added to the other: after the first steps few do, and what this rounds is far below the centres' float.
class ClusterSums {
 public:
  ClusterSums(Index clusters, Index width)
      : sums_(Matrix<double>::Zero(clusters, width)), counts_(static_cast<std::size_t>(clusters)) {}

  void add(Index cluster, std::span<const float> row) noexcept {
    ++counts_[static_cast<std::size_t>(cluster)];
    double* sum = sums_.data() + cluster * sums_.cols();
    for (std::size_t d = 0; d < row.size(); ++d) sum[d] += static_cast<double>(row[d]);
  }
  void remove(Index cluster, std::span<const float> row) noexcept {
    double* sum = sums_.data() + cluster * sums_.cols();
    const bool was_last = --counts_[static_cast<std::size_t>(cluster)] == 0;
    for (std::size_t d = 0; d < row.size(); ++d) sum[d] = was_last ? 0 : sum[d] - static_cast<double>(row[d]);
  }
  Index count(Index cluster) const noexcept { return counts_[static_cast<std::size_t>(cluster)]; }
  const Matrix<double>& sums() const noexcept { return sums_; }

 private:
  Matrix<double> sums_;
  std::vector<Index> counts_;
};

}  // namespace detail

/// k-means by Lloyd's iteration from given centres until no row changes its cluster, or `most_steps`.
///
///   c_k = mean of the rows whose nearest centre is c_k; a centre without rows stays where it is
///
/// Order  bits do not depend on the executor
inline Clustering k_means(Rows<const float> x, Matrix<float> centres, ExecutorRef executor, Index most_steps = 300) {
  require_equal("k_means", "columns of the centres", centres.cols(), x.cols);
  require_in("k_means", "centres", centres.rows(), 1, x.rows);
  std::vector<Index> assigned = assigned_centres(x, centres, executor);
  detail::ClusterSums sums(centres.rows(), x.cols);
  for (Index i = 0; i < x.rows; ++i) sums.add(assigned[static_cast<std::size_t>(i)], x.row(i));
  Index steps = 0;
  for (bool settled = false; !settled && steps < most_steps; ++steps) {
    for (Index k = 0; k < centres.rows(); ++k)
      if (sums.count(k) > 0) centres.row(k) = (sums.sums().row(k) / static_cast<double>(sums.count(k))).cast<float>();
    const std::vector<Index> next = assigned_centres(x, centres, executor);
    settled = true;
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (next[i] == assigned[i]) continue;
      settled = false;
      sums.remove(assigned[i], x.row(static_cast<Index>(i)));
      sums.add(next[i], x.row(static_cast<Index>(i)));
      assigned[i] = next[i];
    }
  }
  NearestCentres assignment = nearest_centres(x, centres, executor);
  return {std::move(centres), std::move(assignment), steps};
}

}  // namespace embedpool
