#include <bit>

#include "digest.hpp"
#include "embedpool/io/safetensors.hpp"
#include "training_job.hpp"

namespace embedpool::program {
namespace {

std::string digest(const TrainingData& data) {
  Digest digest;
  for (const TrainingExample& example : data.examples) {
    digest.add(data.groups[static_cast<std::size_t>(example.group)]);
    digest.add(example.query);
    digest.add(example.positive);
    for (const std::string& negative : example.negatives) digest.add(negative);
    if (example.score) digest.add(std::bit_cast<std::uint64_t>(*example.score));
    for (const float value : example.teacher) digest.add(std::uint64_t{std::bit_cast<std::uint32_t>(value)});
  }
  return digest.text();
}

}  // namespace

std::string TrainingJob::description() const {
  const LearningOptions& learning = options.learning;
  io::Json json = {{"embedder", to_json(settings.config)},
                   {"data", digest(data)},
                   {"begins", beginnings()},
                   {"steps", learning.steps},
                   {"batch", learning.batch.value()},
                   {"accumulate", learning.accumulate},
                   {"chunk", learning.chunk},
                   {"warmup", learning.warmup},
                   {"schedule", static_cast<int>(learning.decay)},
                   {"negatives", learning.most_negatives},
                   {"lr", learning.rate.value()},
                   {"head_lr", head_rate()},
                   {"weight_decay", learning.weight_decay},
                   {"clip", learning.longest_gradient},
                   {"temperature", learning.temperature.value()},
                   {"learn_temperature", learning.learn_temperature},
                   {"symmetric", learning.symmetric},
                   {"mixed", learning.mixed.value()},
                   {"matryoshka", learning.matryoshka},
                   {"no_in_batch_negatives", learning.without_in_batch},
                   {"seed", learning.seed},
                   {"max_tokens", options.max_tokens.value_or(0)},
                   {"freeze_backbone", options.freeze_backbone}};
  if (options.device != "cpu") json["device"] = {options.device, options.compute};
  if (learning.loss != LearningOptions{}.loss) json["loss"] = learning.loss;
  if (learning.loss == "triplet") json["triplet_margin"] = learning.triplet_margin;
  if (has_scored_pairs(data)) json["scored_loss"] = learning.scored_loss;
  if (learning.false_negative_margin) json["false_negative_margin"] = *learning.false_negative_margin;
  if (options.freeze_backbone) {
    json["compute"] = options.compute;
  } else {
    json["lora"] = {{"rank", options.lora.rank}, {"alpha", options.lora.alpha}, {"rslora", options.lora.rank_stabilised},
                    {"dropout", learning.dropout}, {"first_layer", options.lora.first_layer}};
    json["head_steps"] = options.head_steps.value_or(0);
    if (data.teacher_width > 0) json["self_weight"] = self_weight();
    for (const DecoderTensor kind : options.lora.targets) json["lora"]["targets"].push_back(static_cast<int>(kind));
  }
  return json.dump();
}

void TrainingJob::require_same_training(const std::string& checkpoint) const {
  const auto file = io::SafetensorsFile::open(checkpoint);
  const auto written = file.metadata().find("description");
  if (written == file.metadata().end()) return;  // read_checkpoint says what the file is not
  const io::Json then = io::Json::parse(written->second, nullptr, false), now = io::Json::parse(description());
  if (!then.is_object()) return;
  for (const auto& setting : now.items()) {
    const io::Json before = then.value(setting.key(), io::Json());
    if (before != setting.value())
      throw FileError(file.name(), setting.key(), "is of another training: was " + before.dump().substr(0, 200) + ", is now " +
                                                      setting.value().dump().substr(0, 200));
  }
}

}  // namespace embedpool::program
