#pragma once
#include <cstdint>
#include <vector>

#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/matryoshka.hpp"

namespace embedpool {

/// The texts of one contrastive batch in one list: B queries, then B positives, then B K hard negatives, those of query
/// i at [2 B + i K, 2 B + i K + K).
template <class Text>
struct ContrastiveTexts {
  std::vector<Text> texts;
  Index queries = 0;                      ///< B
  std::vector<std::int64_t> documents{};  ///< [B] equal numbers are the same positive; empty: all differ
  bool in_batch_negatives = true;         ///< false: another query's document may well be right, as with class labels

  /// Errors: ShapeError unless the list is a whole number of queries, positives and negatives.
  void check() const {
    const Index count = static_cast<Index>(texts.size());
    require_in("contrastive texts", "queries", queries, 1, count / 2);
    require_equal("contrastive texts", "texts beyond a whole number a query", count % queries, 0);
    if (!documents.empty())
      require_equal("contrastive texts", "document numbers", static_cast<Index>(documents.size()), queries);
  }
};

/// The loss without terms of other queries' documents, for data where these are no negatives. A loss that has none stays.
template <class Loss>
Loss without_in_batch_negatives(Loss loss) {
  if constexpr (requires { loss.in_batch; }) loss.in_batch = false;
  if constexpr (requires { loss.inner; }) loss.inner = without_in_batch_negatives(loss.inner);
  return loss;
}

/// The loss of embeddings that lie as ContrastiveTexts has their texts, and its gradient.
///
/// Shapes  embeddings [texts, D] -> gradient of the same shape, overwritten
template <Real S, class Loss>
double contrastive_loss(const Loss& loss, const Matrix<S>& embeddings, Index queries,
                        std::span<const std::int64_t> documents, Matrix<S>& gradient) {
  gradient = Matrix<S>::Zero(embeddings.rows(), embeddings.cols());
  const Index negatives = embeddings.rows() - 2 * queries;
  const auto part = [&](auto rows, Index first, Index count) { return rows.middle_rows(first, count); };
  const auto e = rows_of(embeddings);
  const auto de = rows_of(gradient);
  return loss(ContrastiveBatch<S>{part(e, 0, queries), part(e, queries, queries), part(e, 2 * queries, negatives), documents},
              ContrastiveGradients<S>{part(de, 0, queries), part(de, queries, queries), part(de, 2 * queries, negatives)});
}

}  // namespace embedpool
