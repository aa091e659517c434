#pragma once
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "embedpool/core/error.hpp"

namespace embedpool {

/// How well clusters K and true classes C describe each other.
///
///   homogeneity  h = 1 - H(C|K) / H(C)      1 when H(C) = 0
///   completeness c = 1 - H(K|C) / H(K)      1 when H(K) = 0
///   V-measure    v = 2 h c / (h + c)        0 when both are 0
///
/// v is also the mutual information of C and K over the mean of H(C) and H(K).
struct VMeasure {
  double homogeneity = 1;
  double completeness = 1;
  double v_measure = 1;
};

/// Errors  ShapeError when lengths differ or are 0
/// Source  Rosenberg and Hirschberg 2007, beta 1; scikit-learn's v_measure_score, which MTEB uses
inline VMeasure v_measure(std::span<const Index> classes, std::span<const Index> clusters) {
  require_equal("v_measure", "clusters", static_cast<Index>(clusters.size()), static_cast<Index>(classes.size()));
  if (classes.empty()) throw ShapeError("v_measure: needs at least one item");
  std::map<Index, double> of_class, of_cluster;
  std::map<std::pair<Index, Index>, double> both;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    of_class[classes[i]] += 1;
    of_cluster[clusters[i]] += 1;
    both[{classes[i], clusters[i]}] += 1;
  }
  const double n = static_cast<double>(classes.size());
  const auto entropy = [n](const std::map<Index, double>& counts) {
    double sum = 0;
    for (const auto& entry : counts) sum -= entry.second / n * std::log(entry.second / n);
    return sum;
  };
  double information = 0;  // I(C; K) = H(C) - H(C|K) = H(K) - H(K|C)
  for (const auto& entry : both)
    information += entry.second / n *
                   std::log(entry.second * n / (of_class[entry.first.first] * of_cluster[entry.first.second]));
  VMeasure result;
  if (of_class.size() > 1) result.homogeneity = information / entropy(of_class);
  if (of_cluster.size() > 1) result.completeness = information / entropy(of_cluster);
  const double sum = result.homogeneity + result.completeness;
  result.v_measure = sum > 0 ? 2 * result.homogeneity * result.completeness / sum : 0;
  return result;
}

}  // namespace embedpool
