#pragma once
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/loss/require_like.hpp"

namespace embedpool {

/// Embeddings of one training batch. Query i belongs to positive `first_positive + i`, and to the hard negatives
/// [(first_positive + i) K, (first_positive + i) K + K) with K = negatives_per_query().
///
/// Shapes  queries [B, D], positives [P, D], negatives [P K, D] or none; P > B when other ranks' documents are gathered
template <Real S>
struct ContrastiveBatch {
  Rows<const S> queries;
  Rows<const S> positives;
  Rows<const S> negatives{};
  /// [P] or, those of the negatives behind them, [P + P K]: equal numbers are the same document; empty: all differ
  std::span<const std::int64_t> documents{};
  Index first_positive = 0;
  /// [B] how alike query i and its positive are found to be (scored pairs); empty: every positive is right
  std::span<const double> scores{};
  /// [B + P + P K, T] what a teacher makes of queries, positives and negatives; none: every positive is right
  Rows<const float> teacher{};

  Index negatives_per_query() const noexcept { return positives.rows > 0 ? negatives.rows / positives.rows : 0; }
  /// The numbers of the positives, of those among them that are the queries' own, and of the negatives; empty where they
  /// have none.
  std::span<const std::int64_t> positive_documents() const noexcept {
    return documents.first(std::min(documents.size(), static_cast<std::size_t>(positives.rows)));
  }
  std::span<const std::int64_t> own_documents() const noexcept {
    if (documents.empty()) return {};
    return documents.subspan(static_cast<std::size_t>(first_positive), static_cast<std::size_t>(queries.rows));
  }
  std::span<const std::int64_t> negative_documents() const noexcept { return documents.subspan(positive_documents().size()); }

  /// Errors: ShapeError naming the part that does not fit.
  void check() const {
    require_in("contrastive batch", "queries", queries.rows, 1, positives.rows - first_positive);
    require_in("contrastive batch", "first positive", first_positive, 0, positives.rows - 1);
    require_equal("contrastive batch", "width of the positives", positives.cols, queries.cols);
    if (negatives.rows > 0) require_equal("contrastive batch", "width of the negatives", negatives.cols, queries.cols);
    require_equal("contrastive batch", "negatives beyond a whole number a query", negatives.rows % positives.rows, 0);
    if (const Index numbers = static_cast<Index>(documents.size()); numbers != 0 && numbers != positives.rows)
      require_equal("contrastive batch", "document numbers", numbers, positives.rows + negatives.rows);
    if (!scores.empty()) require_equal("contrastive batch", "scores", static_cast<Index>(scores.size()), queries.rows);
    if (teacher.rows > 0)
      require_equal("contrastive batch", "rows of the teacher", teacher.rows, queries.rows + positives.rows + negatives.rows);
  }

  /// For losses that take every positive for right. Errors: those of check(), and ShapeError for scored pairs and for a
  /// teacher's embeddings.
  void check_unscored() const {
    check();
    require_equal("contrastive batch", "scores (this loss takes none)", static_cast<Index>(scores.size()), 0);
    require_equal("contrastive batch", "rows of a teacher (this loss takes none)", teacher.rows, 0);
  }
};

/// Where a loss adds its gradients: the shapes of ContrastiveBatch.
template <Real S>
struct ContrastiveGradients {
  Rows<S> queries;
  Rows<S> positives;
  Rows<S> negatives{};

  /// Errors: those of batch.check(), and ShapeError naming the gradient that does not fit.
  void check(const ContrastiveBatch<S>& batch) const {
    batch.check();
    require_like("contrastive batch", "the queries", queries, batch.queries);
    require_like("contrastive batch", "the positives", positives, batch.positives);
    if (batch.negatives.rows > 0) require_like("contrastive batch", "the negatives", negatives, batch.negatives);
  }
};

/// A loss on (query, positive, negatives) batches.
///
/// Beyond the syntax a model promises that loss(batch, gradients) returns the loss, a mean over the queries, and *adds*
/// its derivatives to the gradients; the result does not depend on threads. One with a member `in_batch` has it false for
/// batches that forbid in-batch negatives; one without is not told of them.
template <class L, class S>
concept ContrastiveLoss =
    requires(const L loss, const ContrastiveBatch<S>& batch, const ContrastiveGradients<S>& gradients) {
      { loss(batch, gradients) } -> std::same_as<double>;
    };

}  // namespace embedpool
