#pragma once
#include <algorithm>
#include <utility>

#include "embedpool/train/contrastive_texts.hpp"
#include "embedpool/train/trainable_model.hpp"

namespace embedpool {

/// Adds the gradients of a contrastive loss over a batch to those of the model, and returns the loss.
///
/// With `chunk` texts or fewer in the batch, or chunk 0, in one pass. Else as a gradient cache: every chunk is embedded
/// without keeping anything, the loss gives the gradient of all embeddings, and every chunk is embedded again, with the
/// same dropout, to go back. Memory is that of one chunk; the result is that of one pass but for the order of sums over
/// chunks.
///
/// Errors  those of the model and the loss; ShapeError for texts that do not fit
/// Source  GradCache, arXiv 2101.06983
template <TrainableModel Model, class Loss, Executor E>
double contrastive_gradients(Model& model, const ContrastiveTexts<typename Model::Text>& batch, const Loss& chosen,
                             Index chunk, DropoutKey key, E& executor) {
  using S = typename Model::Scalar;
  batch.check();
  const Loss loss = batch.in_batch_negatives ? chosen : without_in_batch_negatives(chosen);
  const std::span<const typename Model::Text> texts(batch.texts);
  const Index count = static_cast<Index>(texts.size());
  double value = 0;
  Matrix<S> gradient;
  if (chunk <= 0 || count <= chunk) {
    model.embed_and_back(
        texts, key,
        [&](const Matrix<S>& embeddings) {
          value = contrastive_loss(loss, embeddings, batch.queries, batch.documents, gradient);
          return std::move(gradient);
        },
        executor);
    return value;
  }
  const auto for_each_chunk = [&](auto&& f) {
    for (Index first = 0; first < count; first += chunk) {
      DropoutKey part = key;
      part.first_text = key.first_text + first;
      const Index size = std::min(chunk, count - first);
      f(first, size, texts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(size)), part);
    }
  };
  Matrix<S> embeddings;
  for_each_chunk([&](Index first, Index size, auto part, const DropoutKey& coins) {
    const Matrix<S> some = model.embed(part, coins, executor);
    if (embeddings.size() == 0) embeddings.resize(count, some.cols());
    embeddings.middleRows(first, size) = some;
  });
  value = contrastive_loss(loss, embeddings, batch.queries, batch.documents, gradient);
  for_each_chunk([&](Index first, Index size, auto part, const DropoutKey& coins) {
    model.embed_and_back(
        part, coins, [&](const Matrix<S>&) { return Matrix<S>(gradient.middleRows(first, size)); }, executor);
  });
  return value;
}

}  // namespace embedpool
