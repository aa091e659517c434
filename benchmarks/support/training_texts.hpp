#pragma once
// Texts for a training step, from a packed batch.
#include "embedpool/core/batch.hpp"
#include "embedpool/train/contrastive_texts.hpp"
#include "embedpool/train/trained_embedder.hpp"

namespace embedpool::bench {

/// The texts of a batch; the first `queries` of them ask, the others answer.
inline ContrastiveTexts<TrainingText> training_texts(const Batch& packed, Index queries) {
  ContrastiveTexts<TrainingText> texts;
  texts.queries = queries;
  const Segments& segments = packed.segments();
  for (Index b = 0; b < segments.size(); ++b) {
    const auto ids = packed.ids().subspan(static_cast<std::size_t>(segments.offset(b)),
                                          static_cast<std::size_t>(segments.shape(b).tokens));
    texts.texts.push_back({{ids.begin(), ids.end()}, segments.shape(b)});
  }
  return texts;
}

}  // namespace embedpool::bench
