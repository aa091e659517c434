#pragma once
#include "embedpool/loss/contrastive_batch.hpp"

namespace embedpool {

/// The loss that suits what a batch holds: `inner`, a contrastive one, for queries and their positives; `scored`, one of
/// pairs and labels such as CoSENT, for scored pairs. So that one training learns from both, a batch at a time.
///
/// Errors  those of the loss that is called; ShapeError for scored pairs with hard negatives
/// Source  a loss for each kind of training data: jina-embeddings-v3, arXiv 2409.10173, section 5
template <class Contrastive, class Scored>
struct LossOfBatch {
  Contrastive inner{};
  Scored scored{};

  /// What the contrastive loss learns, where it learns something.
  auto tensors() const requires requires { inner.tensors(); } { return inner.tensors(); }

  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    if (batch.scores.empty()) return inner(batch, gradients);
    batch.check();
    require_equal("scored pairs", "hard negatives", batch.negatives.rows, 0);
    require_equal("scored pairs", "texts beyond the pairs", batch.positives.rows - batch.queries.rows, 0);
    return scored(batch.queries, batch.positives, batch.scores, gradients.queries, gradients.positives);
  }
};

}  // namespace embedpool
