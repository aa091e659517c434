#pragma once
#include <limits>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/matrix.hpp"
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

namespace detail {
inline double squared_distance(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return sum;
}
}  // namespace detail

/// Assigns each row of x to its nearest centre by Euclidean distance; of equally near ones to the first.
///
///   argmin over k of |c_k|^2 - 2 x . c_k
///
/// The comparison is in float, as scikit-learn's of float input; the distances are computed anew in double.
/// Shapes  x [n, D], centres [K, D], K > 0
/// Order   bits do not depend on the executor
inline NearestCentres nearest_centres(Rows<const float> x, const Matrix<float>& centres, ExecutorRef executor) {
  constexpr Index block = 128;
  const Index k = centres.rows();
  std::vector<float> norms;
  for (Index c = 0; c < k; ++c) norms.push_back(static_cast<float>(centres.row(c).cast<double>().squaredNorm()));
  NearestCentres nearest{std::vector<Index>(static_cast<std::size_t>(x.rows)), std::vector<double>(static_cast<std::size_t>(x.rows))};
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
      for (Index c = 0; c < k; ++c)
        if (const float d = norms[static_cast<std::size_t>(c)] - 2 * products(i, c); d < least) least = d, best = c;
      nearest.centre[static_cast<std::size_t>(job * block + i)] = best;
      nearest.squared_distance[static_cast<std::size_t>(job * block + i)] =
          detail::squared_distance(rows.row(i), rows_of(centres).row(best));
    }
  });
  return nearest;
}

}  // namespace embedpool
