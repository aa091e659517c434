#pragma once
#include <algorithm>
#include <span>
#include <utility>

#include "embedpool/train/contrastive_texts.hpp"
#include "embedpool/train/trainable_model.hpp"

namespace embedpool {

namespace detail {
/// f(first text, texts, key) for every `chunk` texts in turn; key.first_text goes with them.
template <class Text, class F>
void for_each_chunk(std::span<const Text> texts, Index chunk, const DropoutKey& key, F&& f) {
  const Index count = static_cast<Index>(texts.size());
  for (Index first = 0; first < count; first += chunk) {
    DropoutKey part = key;
    part.first_text = key.first_text + first;
    f(first, texts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(std::min(chunk, count - first))), part);
  }
}
}  // namespace detail

/// The embeddings of texts, nothing kept for backward, `chunk` texts at a time (0: all at once). The bits do not depend
/// on the chunk.
template <TrainableModel Model, Executor E>
Matrix<typename Model::Scalar> embed_in_chunks(Model& model, std::span<const typename Model::Text> texts, Index chunk,
                                               const DropoutKey& key, E& executor) {
  Matrix<typename Model::Scalar> embeddings;
  const Index count = static_cast<Index>(texts.size());
  detail::for_each_chunk(texts, chunk > 0 ? chunk : count, key, [&](Index first, auto part, const DropoutKey& coins) {
    const Matrix<typename Model::Scalar> some = model.embed(part, coins, executor);
    if (embeddings.size() == 0) embeddings.resize(count, some.cols());
    embeddings.middleRows(first, some.rows()) = some;
  });
  return embeddings;
}

/// Adds the gradients of a contrastive loss over a batch to those of the model, and returns the loss.
///
/// With `chunk` texts or fewer in the batch, or chunk 0, in one pass. Else as a gradient cache: every chunk is embedded
/// without keeping anything, the loss gives the gradient of all embeddings, and every chunk is embedded again, with the
/// same dropout, to go back. Memory is that of one chunk; the result is that of one pass up to rounding: sums over chunks
/// have another order, and embeddings for the loss are those of embed.
///
/// Errors  those of the model and the loss; ShapeError for texts that do not fit
/// Source  GradCache, arXiv 2101.06983
template <TrainableModel Model, class Loss, Executor E>
double contrastive_gradients(Model& model, const ContrastiveTexts<typename Model::Text>& batch, const Loss& loss,
                             Index chunk, DropoutKey key, E& executor) {
  using S = typename Model::Scalar;
  batch.check();
  const std::span<const typename Model::Text> texts(batch.texts);
  const Index count = static_cast<Index>(texts.size());
  double value = 0;
  Matrix<S> gradient;
  if (chunk <= 0 || count <= chunk) {
    model.embed_and_back(
        texts, key,
        [&](const Matrix<S>& embeddings) {
          value = loss_of(batch, loss, embeddings, gradient);
          return std::move(gradient);
        },
        executor);
    return value;
  }
  const Matrix<S> embeddings = embed_in_chunks(model, texts, chunk, key, executor);
  value = loss_of(batch, loss, embeddings, gradient);
  detail::for_each_chunk(texts, chunk, key, [&](Index first, auto part, const DropoutKey& coins) {
    model.embed_and_back(
        part, coins, [&](const Matrix<S>& some) { return Matrix<S>(gradient.middleRows(first, some.rows())); }, executor);
  });
  return value;
}

}  // namespace embedpool
