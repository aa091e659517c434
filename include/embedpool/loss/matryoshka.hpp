#pragma once
#include <vector>

#include "embedpool/loss/contrastive_batch.hpp"

namespace embedpool {

/// Matryoshka representation learning: any contrastive loss on the first d_k columns, for several d_k at once.
///
///   loss = sum_k weight_k inner(first d_k columns)         the inner loss sees, and normalises, the cut embeddings
///
/// Errors  ShapeError when a d_k is not in [1, D] or the weights do not match
/// Source  arXiv 2205.13147
template <class Loss>
struct Matryoshka {
  Loss inner{};
  std::vector<Index> dimensions;
  std::vector<double> weights;

  /// What the inner loss learns, where it learns something.
  auto tensors() const requires requires { inner.tensors(); } { return inner.tensors(); }

  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    require_equal("Matryoshka", "weights", static_cast<Index>(weights.size()), static_cast<Index>(dimensions.size()));
    double loss = 0.0;
    for (std::size_t k = 0; k < dimensions.size(); ++k) {
      const Index d = dimensions[k];
      require_in("Matryoshka", "dimension", d, 1, batch.queries.cols);
      const auto cut = [d](auto rows) { return rows.rows > 0 ? rows.middle_cols(0, d) : rows; };
      Matrix<S> dq = Matrix<S>::Zero(batch.queries.rows, d);
      Matrix<S> dp = Matrix<S>::Zero(batch.positives.rows, d);
      Matrix<S> dn = Matrix<S>::Zero(batch.negatives.rows, d);
      loss += weights[k] * inner(ContrastiveBatch<S>{cut(batch.queries), cut(batch.positives), cut(batch.negatives),
                                                     batch.documents, batch.first_positive},
                                 ContrastiveGradients<S>{rows_of(dq), rows_of(dp), rows_of(dn)});
      const S weight = static_cast<S>(weights[k]);
      as_eigen(gradients.queries).leftCols(d) += weight * dq;
      as_eigen(gradients.positives).leftCols(d) += weight * dp;
      if (batch.negatives.rows > 0) as_eigen(gradients.negatives).leftCols(d) += weight * dn;
    }
    return loss;
  }
};

}  // namespace embedpool
