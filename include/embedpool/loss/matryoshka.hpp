#pragma once
#include <type_traits>
#include <vector>

#include "embedpool/loss/contrastive_batch.hpp"

namespace embedpool {

/// Matryoshka representation learning: any loss on the first d_k columns, for several d_k at once.
///
///   loss = sum_k weight_k inner(first d_k columns)         the inner loss sees, and normalises, the cut embeddings
///
/// The inner loss is one of contrastive batches, or one of two lists of embeddings with what they should be: CoSENT, AnglE
/// and CosineMSE with labels, DistillationKL with a teacher's scores.
///
/// Errors  ShapeError when there is no d_k, one is not in [1, D], or the weights do not match
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
    double loss = 0.0;
    gradients.check(batch);
    check(batch.queries.cols);
    for (std::size_t k = 0; k < dimensions.size(); ++k) {
      const Index d = dimensions[k];
      const auto cut = [d](auto rows) { return rows.rows > 0 ? rows.middle_cols(0, d) : rows; };
      Matrix<S> dq = Matrix<S>::Zero(batch.queries.rows, d);
      Matrix<S> dp = Matrix<S>::Zero(batch.positives.rows, d);
      Matrix<S> dn = Matrix<S>::Zero(batch.negatives.rows, d);
      loss += weighted(weights[k], [&] {
        return inner(ContrastiveBatch<S>{cut(batch.queries), cut(batch.positives), cut(batch.negatives), batch.documents,
                                         batch.first_positive, batch.scores, batch.teacher},
                     ContrastiveGradients<S>{rows_of(dq), rows_of(dp), rows_of(dn)});
      });
      const S weight = static_cast<S>(weights[k]);
      as_eigen(gradients.queries).leftCols(d) += weight * dq;
      as_eigen(gradients.positives).leftCols(d) += weight * dp;
      if (batch.negatives.rows > 0) as_eigen(gradients.negatives).leftCols(d) += weight * dn;
    }
    return loss;
  }

  /// A loss of the rows of a and b, with what `target` says of them.
  template <Real S, class Target>
  double operator()(Rows<const S> a, Rows<const S> b, const Target& target, Rows<S> da, Rows<S> db) const {
    double loss = 0.0;
    require_equal("Matryoshka", "width of b", b.cols, a.cols);
    require_like("Matryoshka", "a", da, a);
    require_like("Matryoshka", "b", db, b);
    check(a.cols);
    for (std::size_t k = 0; k < dimensions.size(); ++k) {
      const Index d = dimensions[k];
      Matrix<S> cut_da = Matrix<S>::Zero(a.rows, d), cut_db = Matrix<S>::Zero(b.rows, d);
      loss += weights[k] * inner(a.middle_cols(0, d), b.middle_cols(0, d), target, rows_of(cut_da), rows_of(cut_db));
      as_eigen(da).leftCols(d) += static_cast<S>(weights[k]) * cut_da;
      as_eigen(db).leftCols(d) += static_cast<S>(weights[k]) * cut_db;
    }
    return loss;
  }

 private:
  /// The loss of a call of the inner one, weighted, and with it what the call adds to the gradients of tensors that the inner
  /// loss learns.
  template <class Call>
  double weighted(double weight, const Call& call) const {
    if constexpr (requires { inner.tensors(); }) {
      const auto learned = inner.tensors();
      std::vector<std::remove_cvref_t<decltype(*learned.front().gradient)>> before;
      for (const auto& tensor : learned) {
        before.push_back(*tensor.gradient);
        tensor.gradient->setZero();
      }
      const double loss = call();
      for (std::size_t i = 0; i < learned.size(); ++i) {
        using S = typename decltype(before)::value_type::Scalar;
        *learned[i].gradient = before[i] + static_cast<S>(weight) * *learned[i].gradient;
      }
      return weight * loss;
    } else {
      return weight * call();
    }
  }

  void check(Index width) const {
    require_in("Matryoshka", "dimensions", static_cast<Index>(dimensions.size()), 1, Index(1) << 24);
    require_equal("Matryoshka", "weights", static_cast<Index>(weights.size()), static_cast<Index>(dimensions.size()));
    for (const Index d : dimensions) require_in("Matryoshka", "dimension", d, 1, width);
  }
};

}  // namespace embedpool
