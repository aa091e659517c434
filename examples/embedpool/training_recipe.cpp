#include "training_recipe.hpp"

#include <algorithm>

namespace embedpool::program {
namespace {

/// A value for a flag that was not given; one that says something else is refused.
template <class T>
void settle(const TrainOptions& options, const char* flag, std::optional<T>& value, const T& designed) {
  if (value && *value != designed && options.design)
    throw ShapeError("design " + std::to_string(*options.design) + " contradicts " + flag);
  value = designed;
}

}  // namespace

/// A teacher compares all texts of a batch: many, of all tasks, and the less alike of them count too. It is the same for
/// every batch, and bears a higher rate than positives that are right by chance of the batch's others.
void apply_learning_recipe(const TrainingData& data, LearningOptions& learning) {
  const bool taught = std::all_of(data.examples.begin(), data.examples.end(),
                                  [](const TrainingExample& e) { return taught_by(e) == TaughtBy::teacher; });
  learning.batch = learning.batch.value_or(taught ? 48 : 16);
  learning.rate = learning.rate.value_or(taught ? 1.5e-3 : 5e-4);
  learning.temperature = learning.temperature.value_or(taught ? 0.15 : 0.05);
  learning.mixed = learning.mixed.value_or(taught);
}

void apply_recipe(TrainOptions& options) {
  if (!options.head.empty()) {
    if (options.design) throw ShapeError("--design contradicts --start-from, whose settings hold");
    return;
  }
  HeadOptions& head = options.head_options;
  if (options.design) {
    const int design = *options.design;
    const bool bidirectional = design >= 4, every_layer = design == 3 || design == 5;
    const std::string token = design == 1 || design == 3 ? "last" : design == 5 ? "mean" : "all";
    settle<std::string>(options, "--mask", options.mask, bidirectional ? "bidirectional" : "causal");
    settle<std::string>(options, "--pooling", options.pooling, token);
    if (options.layer) throw ShapeError("design " + std::to_string(design) + " contradicts --layer");
    settle<std::string>(options, "--layers", options.layers, every_layer ? "all" : "last");
    if (!head.kind) head.kind = design == 1 ? "identity" : "perceiver";
    if (!options.append_eos) options.append_eos = true;
    return;
  }
  const bool own_reading = options.pooling || options.layer || options.layers || options.mask || options.prompt ||
                           options.text_template || head.kind;
  if (own_reading) return;
  options.text_template = "This sentence: \"{text}\" means in one word: \"";
  options.pooling = "last+mean@text";
  options.layers = "all";
  head.kind = "layer-mix";
  if (!options.head_steps) options.head_steps = 192;
}

double default_head_rate(std::string_view head) noexcept {
  return head == "layer-mix" || head == "weighted-layers" ? 1e-2 : 1e-3;
}

TrainOptions head_training(const TrainOptions& options) {
  TrainOptions first = options;
  first.output += "/head";
  first.freeze_backbone = true;
  first.examples = options.examples > 0 ? std::min<Index>(options.examples, 1000) : 1000;
  first.held_out.clear();
  first.stepped = {};
  LearningOptions& learning = first.learning;
  learning.steps = *options.head_steps;
  learning.batch = 64;
  first.shrink_batch = true;
  learning.accumulate = 1;
  learning.chunk = 0;
  learning.head_rate = 0.1;
  learning.dropout = 0;
  return first;
}

}  // namespace embedpool::program
