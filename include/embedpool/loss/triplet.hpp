#pragma once
#include <cmath>

#include "embedpool/loss/contrastive_batch.hpp"
#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// Triplet loss with Euclidean distance: a positive should be nearer than each hard negative by a margin.
///
///   loss = mean over queries i and their negatives k of max(0, |q_i - d_i| - |q_i - n_ik| + margin)
///
/// Errors  ShapeError when the batch has no hard negatives
/// Source  arXiv 1908.10084 (margin 1)
struct Triplet {
  double margin = 1.0;
  bool unit_length = false;  ///< distances, in [0, 2], of embeddings scaled to length one; else of embeddings as they are

  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    batch.check_unscored();
    gradients.check(batch);
    if (unit_length) return of_units(batch, gradients);
    const Index count = batch.negatives_per_query();
    require_in("triplet loss", "hard negatives a query", count, 1, batch.negatives.rows);
    const double mean = 1.0 / static_cast<double>(batch.queries.rows * count);
    double loss = 0.0;
    for (Index i = 0; i < batch.queries.rows; ++i) {
      const Index own = batch.first_positive + i;
      const RowVector<S> to_positive = as_eigen(batch.queries).row(i) - as_eigen(batch.positives).row(own);
      for (Index k = own * count; k < (own + 1) * count; ++k) {
        const RowVector<S> to_negative = as_eigen(batch.queries).row(i) - as_eigen(batch.negatives).row(k);
        const double near = static_cast<double>(to_positive.norm());
        const double far = static_cast<double>(to_negative.norm());
        if (near - far + margin <= 0.0) continue;
        loss += mean * (near - far + margin);
        // d|v| = v / |v|; at distance 0 the subgradient 0 is taken
        const RowVector<S> pull = to_positive * static_cast<S>(near > 0.0 ? mean / near : 0.0);
        const RowVector<S> push = to_negative * static_cast<S>(far > 0.0 ? mean / far : 0.0);
        as_eigen(gradients.queries).row(i) += pull - push;
        as_eigen(gradients.positives).row(own) -= pull;
        as_eigen(gradients.negatives).row(k) += push;
      }
    }
    return loss;
  }

 private:
  template <Real S>
  double of_units(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    UnitRows<S> q(batch.queries), p(batch.positives), n(batch.negatives);
    ContrastiveBatch<S> units = batch;
    units.queries = q.units(), units.positives = p.units(), units.negatives = n.units();
    const double loss = Triplet{margin}(units, {q.gradient(), p.gradient(), n.gradient()});
    q.backward(gradients.queries);
    p.backward(gradients.positives);
    n.backward(gradients.negatives);
    return loss;
  }
};
static_assert(ContrastiveLoss<Triplet, float> && ContrastiveLoss<Triplet, double>);

}  // namespace embedpool
