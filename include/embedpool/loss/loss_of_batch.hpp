#pragma once
#include <utility>

#include "embedpool/loss/contrastive_batch.hpp"
#include "embedpool/loss/similarity_distillation.hpp"

namespace embedpool {

/// The loss that suits what a batch holds: `inner`, a contrastive one, for queries and their positives; `scored`, one of
/// pairs and labels such as CoSENT, for scored pairs; `distilled` for texts with a teacher's embeddings. So that one
/// training learns from all of them, a batch at a time.
///
/// Errors  those of the loss that is called; ShapeError for scored pairs with hard negatives or a teacher, and for a teacher
///         with documents of others than the queries
/// Source  a loss for each kind of training data: jina-embeddings-v3, arXiv 2409.10173, section 5
template <class Contrastive, class Scored>
struct LossOfBatch {
  Contrastive inner{};
  Scored scored{};
  SimilarityDistillation distilled{};

  /// What the contrastive loss learns, where it learns something.
  auto tensors() const requires requires { inner.tensors(); } { return inner.tensors(); }

  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    if (batch.teacher.rows > 0) return from_teacher(batch, gradients);
    if (batch.scores.empty()) return inner(batch, gradients);
    gradients.check(batch);
    require_equal("scored pairs", "hard negatives", batch.negatives.rows, 0);
    require_equal("scored pairs", "texts beyond the pairs", batch.positives.rows - batch.queries.rows, 0);
    return scored(batch.queries, batch.positives, batch.scores, gradients.queries, gradients.positives);
  }

 private:
  /// All texts of the batch in one list: to the teacher's similarities each is a text like the others.
  template <Real S>
  double from_teacher(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    gradients.check(batch);
    require_equal("distillation", "scores", static_cast<Index>(batch.scores.size()), 0);
    require_equal("distillation", "texts beyond the queries' own", batch.positives.rows - batch.queries.rows, 0);
    Matrix<S> x(batch.teacher.rows, batch.queries.cols), dx = Matrix<S>::Zero(x.rows(), x.cols());
    const Matrix<S> teacher = as_eigen(batch.teacher).template cast<S>();
    const Index pairs = batch.queries.rows, negatives = batch.negatives.rows;
    x.topRows(pairs) = as_eigen(batch.queries);
    x.middleRows(pairs, pairs) = as_eigen(batch.positives);
    if (negatives > 0) x.bottomRows(negatives) = as_eigen(batch.negatives);
    const double loss = distilled(rows_of(std::as_const(x)), rows_of(teacher), rows_of(dx));
    as_eigen(gradients.queries) += dx.topRows(pairs);
    as_eigen(gradients.positives) += dx.middleRows(pairs, pairs);
    if (negatives > 0) as_eigen(gradients.negatives) += dx.bottomRows(negatives);
    return loss;
  }
};

}  // namespace embedpool
