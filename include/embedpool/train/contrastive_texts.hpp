#pragma once
#include <cstdint>
#include <vector>

#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/matryoshka.hpp"

namespace embedpool {

/// The texts of one contrastive batch in one list: B queries, then B positives, then B K hard negatives, those of query
/// i at [2 B + i K, 2 B + i K + K). Or of one batch of scored pairs: B first texts, then B second ones, and B scores.
template <class Text>
struct ContrastiveTexts {
  std::vector<Text> texts;
  Index queries = 0;                      ///< B
  /// Of the positives [B], or of them and the hard negatives [B + B K]: equal numbers are the same text; empty: all differ
  std::vector<std::int64_t> documents{};
  bool in_batch_negatives = true;         ///< false: another query's document may well be right, as with class labels
  std::vector<double> scores{};           ///< [B] of scored pairs; empty: every positive is right
  Matrix<float> teacher{};                ///< [texts, T] what a teacher makes of the texts; empty: there is none

  /// Errors: ShapeError unless the list is a whole number of queries, positives and negatives, or of scored pairs.
  void check() const {
    const Index count = static_cast<Index>(texts.size());
    require_in("contrastive texts", "queries", queries, 1, count / 2);
    require_equal("contrastive texts", "texts beyond a whole number a query", count % queries, 0);
    if (const Index numbers = static_cast<Index>(documents.size()); numbers != 0 && numbers != queries)
      require_equal("contrastive texts", "document numbers", numbers, count - queries);
    if (teacher.size() > 0) require_equal("contrastive texts", "rows of the teacher", teacher.rows(), count);
    if (scores.empty()) return;
    require_equal("contrastive texts", "scores", static_cast<Index>(scores.size()), queries);
    require_equal("contrastive texts", "texts of scored pairs", count, 2 * queries);
  }
};

/// The loss without terms of other queries and their documents, for data where these are no negatives. A loss that has none
/// stays.
template <class Loss>
Loss without_in_batch_negatives(Loss loss) {
  if constexpr (requires { loss.in_batch; }) loss.in_batch = false;
  if constexpr (requires { loss.inner; }) loss.inner = without_in_batch_negatives(loss.inner);
  return loss;
}

/// The loss of a batch whose embeddings lie as its texts do, and its gradient; without in-batch negatives where the batch
/// forbids them.
///
/// Shapes  embeddings [texts, D] -> gradient of the same shape, overwritten
template <Real S, class Text, class Loss>
double loss_of(const ContrastiveTexts<Text>& batch, const Loss& chosen, const Matrix<S>& embeddings, Matrix<S>& gradient) {
  const Loss loss = batch.in_batch_negatives ? chosen : without_in_batch_negatives(chosen);
  const Index queries = batch.queries;
  gradient = Matrix<S>::Zero(embeddings.rows(), embeddings.cols());
  const Index negatives = embeddings.rows() - 2 * queries;
  const auto part = [&](auto rows, Index first, Index count) { return rows.middle_rows(first, count); };
  const auto e = rows_of(embeddings);
  const auto de = rows_of(gradient);
  return loss(ContrastiveBatch<S>{part(e, 0, queries), part(e, queries, queries), part(e, 2 * queries, negatives),
                                  batch.documents, 0, batch.scores, rows_of(batch.teacher)},
              ContrastiveGradients<S>{part(de, 0, queries), part(de, queries, queries), part(de, 2 * queries, negatives)});
}

}  // namespace embedpool
