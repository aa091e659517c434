#pragma once
#include <limits>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/eval/learn/double_sums.hpp"
#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

/// The nearest centre of each row and the squared distance to it.
struct NearestCentres {
  std::vector<Index> centre;
  std::vector<double> squared_distance;

  double inertia() const noexcept {
    double sum = 0;
    for (const double d : squared_distance) sum += d;
    return sum;
  }
};

/// The nearest centre of each row of x by Euclidean distance; of equally near ones the first.
///
///   argmin over k of |c_k|^2 - 2 x . c_k
///
/// In float, as scikit-learn compares float input.
/// Shapes  x [n, D], centres [K, D], K > 0 -> [n]
/// Order   bits do not depend on the executor
inline std::vector<Index> assigned_centres(Rows<const float> x, const Matrix<float>& centres, ExecutorRef executor) {
  constexpr Index block = 128;
  const Index k = centres.rows();
  std::vector<float> norms;
  for (Index c = 0; c < k; ++c) norms.push_back(static_cast<float>(centres.row(c).cast<double>().squaredNorm()));
  std::vector<Index> nearest(static_cast<std::size_t>(x.rows));
  const PackedWeight<float> packed(weight_view(rows_of(centres)), executor);
  std::vector<AlignedBuffer<float>> scratch(static_cast<std::size_t>(executor.workers()));
  for (auto& buffer : scratch) buffer.reserve(block * k);
  executor.parallel_for((x.rows + block - 1) / block, [&](Index job, Index worker) {
    const Rows<const float> rows = x.middle_rows(job * block, std::min(block, x.rows - job * block));
    const Rows<float> products(scratch[static_cast<std::size_t>(worker)].data(), rows.rows, k);
    SerialExecutor serial;
    gemm_nt(rows, packed, StoreTo<float>{products}, serial);
    for (Index i = 0; i < rows.rows; ++i) {
      float least = std::numeric_limits<float>::infinity();
      Index best = 0;
      for (Index c = 0; c < k; ++c) {
        const float distance = norms[static_cast<std::size_t>(c)] - 2 * products(i, c);
        best = distance < least ? c : best;  // no branch, which would often go wrong
        least = distance < least ? distance : least;
      }
      nearest[static_cast<std::size_t>(job * block + i)] = best;
    }
  });
  return nearest;
}

/// The same with the squared distances, computed from the differences in double.
inline NearestCentres nearest_centres(Rows<const float> x, const Matrix<float>& centres, ExecutorRef executor) {
  constexpr Index block = 256;
  NearestCentres nearest{assigned_centres(x, centres, executor), std::vector<double>(static_cast<std::size_t>(x.rows))};
  executor.parallel_for((x.rows + block - 1) / block, [&](Index job, Index) {
    for (Index i = job * block; i < std::min(x.rows, (job + 1) * block); ++i) {
      const auto at = static_cast<std::size_t>(i);
      nearest.squared_distance[at] = detail::squared_distance(x.row(i), rows_of(centres).row(nearest.centre[at]));
    }
  });
  return nearest;
}

}  // namespace embedpool
