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

/// Errors: FileError naming the first setting in which two trainings differ, and within groups of settings which of them.
void require_same(const std::string& file, const std::string& name, const io::Json& then, const io::Json& now) {
  if (then == now) return;
  if (!then.is_object() || !now.is_object())
    throw FileError(file, name, "is of another training: was " + then.dump().substr(0, 200) + ", is now " +
                                    now.dump().substr(0, 200));
  io::Json all = then;
  all.update(now);
  for (const auto& setting : all.items())
    require_same(file, (name.empty() ? "" : name + ".") + setting.key(), then.value(setting.key(), io::Json()),
                 now.value(setting.key(), io::Json()));
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
  const io::Json then = io::Json::parse(written->second, nullptr, false);
  if (then.is_object()) require_same(file.name(), "", then, io::Json::parse(description()));
}

}  // namespace embedpool::program
