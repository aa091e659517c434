#pragma once
// The recorded training run of the golden files: its model, its settings and its batches.
#include <memory>

#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/trainer.hpp"
#include "model/golden_designs.hpp"

namespace embedpool::test {

template <Real S>
struct GoldenRun {
  using Model = TrainedEmbedder<S, Bidirectional, LayerMeans>;  // design 5
  using Texts = ContrastiveTexts<TrainingText>;

  io::SafetensorsFile file = io::SafetensorsFile::open(golden_directory() / "train.safetensors");
  io::Json json = io::read_json(golden_directory() / "train.json");
  Index steps = json.at("steps");
  InfoNCE loss{};
  TrainingSettings settings{};

  GoldenRun() {
    REQUIRE(json.at("design") == 5);
    loss.scale = json.at("scale");
    settings.schedule = {Schedule::Decay::linear, json.at("warmup_steps").get<Index>(), steps};
    settings.rate = settings.head_rate = json.at("lr");
    settings.weight_decay = json.at("weight_decay");
    settings.longest_gradient = json.at("max_grad_norm");
    settings.optimizer = {json.at("betas")[0], json.at("betas")[1], json.at("eps")};
  }

  std::unique_ptr<Model> model() const {
    const auto decoder = io::load_decoder<S>(golden_directory() / json.at("backbone").get<std::string>());
    auto adapter = io::load_peft_adapter<S>(golden_directory() / json.at("adapter").get<std::string>(), decoder.config());
    const StoredHead<S> stored(golden_directory() / json.at("head").get<std::string>(), decoder.width());
    LayerMeans pooling;
    pooling.head = stored.head;
    return std::make_unique<Model>(decoder, std::move(adapter), pooling, stored.params, Bidirectional{});
  }

  /// The batch of a step: texts are packed in the order step, part (query, positive, negative), item.
  Texts batch(Index step) const {
    const Index size = json.at("batch");
    const auto ids = integers<std::int32_t>(file.at("ids"));
    const auto offsets = integers<std::int64_t>(file.at("offsets"));
    const Index texts = static_cast<Index>(offsets.size()) - 1, parts = texts / (steps * size);
    Texts batch;
    batch.queries = size;
    for (Index i = step * parts * size; i < (step + 1) * parts * size; ++i) {
      const auto begin = ids.begin() + offsets[static_cast<std::size_t>(i)], end = ids.begin() + offsets[static_cast<std::size_t>(i) + 1];
      batch.texts.push_back({{begin, end}, TextShape::bare(end - begin)});
    }
    return batch;
  }

  /// One query of a batch with its own positive and negatives.
  static Texts alone(const Texts& batch, Index query) {
    Texts one;
    one.queries = 1;
    const Index parts = static_cast<Index>(batch.texts.size()) / batch.queries;
    for (Index part = 0; part < parts; ++part)
      one.texts.push_back(batch.texts[static_cast<std::size_t>(part * batch.queries + query)]);
    return one;
  }

  std::vector<double> numbers(const std::string& name) const {
    const Matrix<double> values = matrix<double>(file.at(name));
    return {values.data(), values.data() + values.size()};
  }

  /// The name of a trained tensor in the golden file behind a prefix: with as many `model.` in front as its adapter has.
  std::string stored_name(const std::string& ours) const {
    if (!ours.starts_with("lora.")) return ours;
    const std::string name = ours.substr(ours.find('.', 5) + 1);
    const bool of_larger = std::any_of(file.tensors().begin(), file.tensors().end(), [&](const auto& entry) {
      return entry.first.ends_with(".lora.base_model.model.model." + name);
    });
    return (of_larger ? "lora.base_model.model.model." : "lora.base_model.model.") + name;
  }
};

}  // namespace embedpool::test
