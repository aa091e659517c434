#pragma once
// A small model with a head, batches for it, and settings.
#include "embedpool/model/new_lora_adapter.hpp"
#include "embedpool/pooling/aliases.hpp"
#include "embedpool/testing/pooling_properties.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/trainer.hpp"
#include "model/random_decoder.hpp"

namespace embedpool::test {

template <Real S>
struct SmallTraining {
  using Pooling = MultiLayerMix<Causal>;
  using Model = TrainedEmbedder<S, Causal, Pooling>;
  using Texts = ContrastiveTexts<TrainingText>;
  Model model;

  explicit SmallTraining(TrainedParts parts = {}, const std::string& architecture = "qwen2")
      : model(random_decoder<S>(small_config(architecture)), adapter(architecture), Pooling{},
              testing::random_params<S>(Pooling{}, {3, 36, 1}), Causal{}, parts) {}

  static LoraAdapter<S> adapter(const std::string& architecture) {
    LoraOptions options;
    options.rank = 3;
    auto lora = new_lora_adapter<S>(small_config(architecture), options);
    for (auto& entry : lora.entries) entry.lora.b.setConstant(S(0.02));
    return lora;
  }
  /// The batch of a step: ragged texts, some of one token.
  static Texts batch(Index step, Index queries = 4, Index negatives = 1) {
    Texts batch;
    batch.queries = queries;
    for (Index i = 0; i < queries * (2 + negatives); ++i) {
      const Index tokens = 1 + (5 * i + step) % 11;
      const auto ids = random_text(tokens, 61, static_cast<unsigned>(100 * step + i));
      batch.texts.push_back({ids, TextShape::bare(tokens)});
    }
    return batch;
  }
  static TrainingSettings settings(Index chunk = 0, double dropout = 0.2) {
    TrainingSettings settings;
    settings.schedule = {Schedule::Decay::linear, 2, 10};
    settings.rate = settings.head_rate = 0.01;
    settings.dropout = dropout;
    settings.seed = 77;
    settings.chunk = chunk;
    return settings;
  }

  std::vector<Matrix<S>> values() {
    std::vector<Matrix<S>> copies;
    for (const auto& tensor : model.tensors()) copies.push_back(*tensor.value);
    return copies;
  }
  std::vector<Matrix<S>> gradients() {
    std::vector<Matrix<S>> copies;
    for (const auto& tensor : model.tensors()) copies.push_back(*tensor.gradient);
    return copies;
  }
};

}  // namespace embedpool::test
