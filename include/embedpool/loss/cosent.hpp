#pragma once
#include <cmath>
#include <vector>

#include "embedpool/loss/require_pairs.hpp"
#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// Ranking loss over scored pairs: a pair with a higher label should have a higher similarity.
///
///   loss = log(1 + sum over y_i < y_j of exp(scale (s_i - s_j)))
///
/// Returns the loss and adds its derivatives in s to `gradient`; equal labels make no term, so constant labels give 0.
/// Cost     O(P^2) for P pairs, no [P, P] buffer
/// Source   CoSENT (Su 2022) as sentence-transformers has it
inline double ranking_loss(std::span<const double> similarity, std::span<const double> labels, double scale,
                           std::span<double> gradient) {
  require_equal("ranking loss", "labels", static_cast<Index>(labels.size()), static_cast<Index>(similarity.size()));
  require_equal("ranking loss", "gradients", static_cast<Index>(gradient.size()), static_cast<Index>(similarity.size()));
  double largest = 0.0;  // the 1 in the logarithm is exp(0)
  for (std::size_t i = 0; i < labels.size(); ++i)
    for (std::size_t j = 0; j < labels.size(); ++j)
      if (labels[i] < labels[j]) largest = std::max(largest, scale * (similarity[i] - similarity[j]));
  double sum = std::exp(-largest);
  for (std::size_t i = 0; i < labels.size(); ++i)
    for (std::size_t j = 0; j < labels.size(); ++j)
      if (labels[i] < labels[j]) sum += std::exp(scale * (similarity[i] - similarity[j]) - largest);
  for (std::size_t i = 0; i < labels.size(); ++i)
    for (std::size_t j = 0; j < labels.size(); ++j) {
      if (!(labels[i] < labels[j])) continue;
      const double share = scale * std::exp(scale * (similarity[i] - similarity[j]) - largest) / sum;
      gradient[i] += share;
      gradient[j] -= share;
    }
  return largest + std::log(sum);
}

/// CoSENT on the cosine of pairs (a_i, b_i) with labels y_i.
///
/// Shapes  a, b, da, db [P, D]; labels [P]; adds to da and db
/// Errors  ShapeError for parts that do not fit
struct CoSENT {
  double scale = 20.0;

  template <Real S>
  double operator()(Rows<const S> a, Rows<const S> b, std::span<const double> labels, Rows<S> da, Rows<S> db) const {
    require_pairs("CoSENT", a, b, labels, da, db);
    UnitRows<S> u(a), v(b);
    const auto units_a = as_eigen(u.units());
    const auto units_b = as_eigen(v.units());
    std::vector<double> similarity(static_cast<std::size_t>(a.rows)), gradient(similarity.size(), 0.0);
    for (Index i = 0; i < a.rows; ++i)
      similarity[static_cast<std::size_t>(i)] = static_cast<double>(units_a.row(i).dot(units_b.row(i)));
    const double loss = ranking_loss(similarity, labels, scale, gradient);
    for (Index i = 0; i < a.rows; ++i) {
      const S ds = static_cast<S>(gradient[static_cast<std::size_t>(i)]);
      as_eigen(u.gradient()).row(i) = ds * units_b.row(i);
      as_eigen(v.gradient()).row(i) = ds * units_a.row(i);
    }
    u.backward(da);
    v.backward(db);
    return loss;
  }
};

}  // namespace embedpool
