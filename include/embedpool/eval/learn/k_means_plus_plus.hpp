#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/eval/learn/mersenne_twister.hpp"
#include "embedpool/eval/learn/nearest_centre.hpp"

namespace embedpool {

/// Initial centres by k-means++: the first row at random, each further one with a chance proportional to its squared
/// distance from the nearest centre so far; of 2 + floor(log k) such candidates the one that leaves the smallest sum of
/// squared distances.
///
/// Shapes  x [n, D] -> rows of x that are centres [k], k <= n; a row may come twice when fewer than k rows differ
/// Order   bits do not depend on the executor
/// Source  Arthur and Vassilvitskii 2007; scikit-learn's _kmeans_plusplus, random numbers included
inline std::vector<Index> k_means_plus_plus(Rows<const float> x, Index k, MersenneTwister& random, ExecutorRef executor) {
  require_in("k_means_plus_plus", "k", k, 1, x.rows);
  const auto n = static_cast<std::size_t>(x.rows);
  const auto candidates = static_cast<std::size_t>(2 + static_cast<int>(std::log(static_cast<double>(k))));
  constexpr Index block = 256;
  std::vector<Index> centres = {static_cast<Index>(random.uniform() * static_cast<double>(x.rows))};
  // Distances from row `centre`, where smaller than `before`.
  const auto lowered = [&](Index centre, const std::vector<double>& before, std::vector<double>& after) {
    executor.parallel_for((x.rows + block - 1) / block, [&](Index job, Index) {
      for (Index i = job * block; i < std::min(x.rows, (job + 1) * block); ++i)
        after[static_cast<std::size_t>(i)] =
            std::min(before[static_cast<std::size_t>(i)], detail::squared_distance(x.row(i), x.row(centre)));
    });
    double sum = 0;
    for (const double d : after) sum += d;
    return sum;
  };
  std::vector<double> closest(n), trial(n), best(n), cumulated(n);
  double potential = lowered(centres[0], std::vector<double>(n, std::numeric_limits<double>::infinity()), closest);
  while (static_cast<Index>(centres.size()) < k) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) cumulated[i] = sum += closest[i];
    std::vector<double> draws(candidates);
    for (double& draw : draws) draw = random.uniform() * potential;
    double least = std::numeric_limits<double>::infinity();
    Index chosen = 0;
    for (const double draw : draws) {
      const auto found = std::lower_bound(cumulated.begin(), cumulated.end(), draw) - cumulated.begin();
      const Index row = std::min<Index>(found, x.rows - 1);
      if (const double left = lowered(row, closest, trial); left < least) {
        least = left;
        chosen = row;
        std::swap(best, trial);
      }
    }
    centres.push_back(chosen);
    std::swap(closest, best);
    potential = least;
  }
  return centres;
}

}  // namespace embedpool
