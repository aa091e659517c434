#pragma once
#include <vector>

#include "embedpool/loss/softmax_terms.hpp"
#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// How two embeddings are compared.
enum class Similarity { cosine, dot };

/// InfoNCE with in-batch and hard negatives.
///
///   loss = mean_i -log( exp(scale s(q_i, d_i)) / sum over terms of exp(scale s) )
///
/// Terms of query i: all positives and all hard negatives of the batch; with query_query also s(q_i, q_j), with
/// document_document also s(d_i, d_j), j != i. With in_batch false, as for classification data, where another query's
/// document may well be right, its own positive and hard negatives alone. Terms that false_negatives drops, and documents
/// that equal query i's own, leave the sum; terms s(q_i, q_j) are dropped for their score alone, whatever answers the two
/// queries have. With symmetric the loss is half of this plus half of the same with queries and
/// positives exchanged, without hard negatives.
///
/// Errors  ShapeError for parts that do not fit
/// Source  arXiv 1807.03748; terms and mask of Qwen3-Embedding, arXiv 2506.05176: see `qwen3()`
struct InfoNCE {
  double scale = 20.0;  ///< 1 / temperature
  Similarity similarity = Similarity::cosine;
  bool in_batch = true;
  bool symmetric = false;
  bool query_query = false;
  bool document_document = false;
  bool own_negatives_only = false;  ///< other queries' hard negatives are no terms
  FalseNegatives false_negatives{};

  /// The denominator of Qwen3-Embedding: own hard negatives, other queries, other documents on both sides, margin 0.1.
  static InfoNCE qwen3() {
    InfoNCE loss;
    loss.query_query = loss.document_document = loss.own_negatives_only = true;
    loss.false_negatives.margin = 0.1;
    return loss;
  }

  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) const {
    double unused = 0.0;
    return (*this)(batch, gradients, unused);
  }

  /// Also adds d loss / d scale, for a learned scale.
  template <Real S>
  double operator()(const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients,
                    double& scale_gradient) const {
    batch.check_unscored();
    gradients.check(batch);
    if (similarity == Similarity::dot) return of_products(batch, gradients, scale_gradient);
    UnitRows<S> queries(batch.queries), positives(batch.positives), negatives(batch.negatives);
    const ContrastiveBatch<S> units{queries.units(), positives.units(), negatives.units(), batch.documents,
                                    batch.first_positive};
    const double loss = of_products(
        units, {queries.gradient(), positives.gradient(), negatives.gradient()}, scale_gradient);
    queries.backward(gradients.queries);
    positives.backward(gradients.positives);
    if (batch.negatives.rows > 0) negatives.backward(gradients.negatives);
    return loss;
  }

 private:
  template <Real S>
  double of_products(const ContrastiveBatch<S>& x, const ContrastiveGradients<S>& dx, double& scale_gradient) const {
    const Rows<const S> own_positives = x.positives.middle_rows(x.first_positive, x.queries.rows);
    const Rows<S> own_positive_gradients = dx.positives.middle_rows(x.first_positive, x.queries.rows);

    const Index first = x.first_positive, own = in_batch ? 0 : 1;
    std::vector<ScoreFamily<S>> terms_of_query;
    terms_of_query.push_back(
        {x.queries, x.positives, dx.queries, dx.positives, Partner::positive, first, own, x.positive_documents()});
    if (x.negatives.rows > 0)
      terms_of_query.push_back({x.queries, x.negatives, dx.queries, dx.negatives, Partner::none, first,
                                in_batch && !own_negatives_only ? 0 : x.negatives_per_query(), x.negative_documents()});
    if (query_query && in_batch)
      terms_of_query.push_back({x.queries, x.queries, dx.queries, dx.queries, Partner::itself, 0, 0});
    if (document_document && in_batch)
      terms_of_query.push_back({own_positives, x.positives, own_positive_gradients, dx.positives, Partner::itself, first,
                                0, x.positive_documents()});
    SoftmaxTerms<S> terms(std::move(terms_of_query), scale, false_negatives, x.own_documents());
    const double loss = terms(symmetric ? 0.5 : 1.0);
    scale_gradient += terms.scale_gradient();
    if (!symmetric) return loss;

    SoftmaxTerms<S> reverse(
        {{own_positives, x.queries, own_positive_gradients, dx.queries, Partner::positive, 0, own, x.own_documents()}}, scale,
        false_negatives, x.own_documents());
    const double reverse_loss = reverse(0.5);
    scale_gradient += reverse.scale_gradient();
    return loss + reverse_loss;
  }
};
static_assert(ContrastiveLoss<InfoNCE, float> && ContrastiveLoss<InfoNCE, double>);

}  // namespace embedpool
