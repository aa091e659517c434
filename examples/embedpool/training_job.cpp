#include "training_job.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "embedpool/io/peft_adapter_writer.hpp"
#include "trained_head.hpp"

namespace embedpool::program {
namespace {

/// `resolve` with what the saved folder gets: its limit on tokens is the model's, not that of the training.
Settings saved_settings(TrainOptions options, const Model& model) {
  options.max_tokens.reset();
  return resolve(options, model);
}

io::TextLayout cut(io::TextLayout layout, const std::optional<Index>& max_tokens) {
  const Index most = max_tokens.value_or(64);
  layout.max_tokens = layout.max_tokens > 0 ? std::min(layout.max_tokens, most) : most;
  return layout;
}

}  // namespace

TrainingJob::TrainingJob(const TrainOptions& flags, const Model& of_model, const TrainingExamples& all)
    : options(flags), examples{thinned(all.data, flags.examples), all.held_out}, model(of_model),
      settings(saved_settings(flags, of_model)),
      texts_(of_model.tokenizer(), cut(settings.config.layout, flags.max_tokens),
             settings.config.prompts, flags.strict) {
  plan_.emplace(batch_plan(options, data));
  for (const Index group : plan_->unused_groups())
    std::fprintf(stderr, "embedpool: %stask '%s' has too few examples for a batch and is left out\n", options.label.c_str(),
                 data.groups[static_cast<std::size_t>(group)].c_str());
  if (!options.held_out.empty())
    for (const Index group : held_out_plan(options, held_out).unused_groups())
      std::fprintf(stderr, "embedpool: --held-out: task '%s' has too few examples for a batch and is left out\n",
                   held_out.groups[static_cast<std::size_t>(group)].c_str());
  Reading& reading = settings.reading;
  const Index width = model.decoder().width(), slots = reading.slots(model.decoder().layers());
  if (options.head.empty()) {
    reading.head = new_head(options.head_options, width, slots);
    reading.params = reading.head.init<float>(width, slots, options.learning.seed);
    settings.config.head = reading.head;
  }
  reading.head.check(reading.params, width, slots);
  check_learns();
  if (!options.head.empty()) start_ = learned_digest(settings);
  if (settings.adapter && options.describes_adapter)
    throw ShapeError("--lora-rank, --lora-alpha, --rslora, --lora-targets and --lora-first-layer contradict --start-from: " +
                     options.head + " has an adapter, which goes on as it is");
  for (const Index dimensions : options.learning.matryoshka)
    require_in("--matryoshka", "dimensions", dimensions, 1, reading.head.output_width(width));
  if (options.head.empty() && options.calibrate && !reading.calibration) calibrate();
}

void TrainingJob::check_learns() {
  Reading& reading = settings.reading;
  if (options.freeze_backbone) {
    bool learns = false;
    AnyHead::for_each(reading.params, [&](auto&&, Matrix<float>&) { learns = true; });
    if (!learns)
      throw ShapeError((options.head_steps ? "--head-steps: head " : "--freeze-backbone: head ") +
                       std::string(reading.head.name()) + " has nothing to train");
    return;
  }
  const Index layers = model.decoder().layers(), first = options.lora.first_layer;
  bool reaches = settings.adapter.has_value();
  for (Index layer = first + 1; layer <= layers; ++layer) reaches = reaches || reading.layers.wants(layer, layers);
  if (!reaches) throw ShapeError("LoRA would change nothing: no layer that is read lies behind block " + std::to_string(first));
}

TrainingText TrainingJob::text(const std::string& text, Index group, bool is_query, const TrainingData& from) {
  return texts_(text, from.groups[static_cast<std::size_t>(group)], is_query);
}

void TrainingJob::begin_self_teaching() {
  if (self_weight() > 0) self_teacher_.emplace(*this);
}

/// Queries and positives of examples at equal distances, so that every task has its share.
void TrainingJob::calibrate() {
  const Index all = static_cast<Index>(data.examples.size());
  const Index count = std::min(all, std::max<Index>(1, options.calibration_texts / 2));
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute{}, options.threads, options.device);
  CalibrationEstimator estimator(settings.reading.slots(model.decoder().layers()), model.decoder().width());
  Progress progress(options.label + "calibrate", options.quiet);
  Batch batch;
  const auto flush = [&](double fraction) {
    pass.calibrate(batch, {&settings.reading, 1}, {&estimator, 1});
    progress.add(batch.segments().size(), batch.segments().rows(), fraction);
    batch = {};
  };
  for (Index i = 0; i < count; ++i) {
    const TrainingExample& example = data.examples[static_cast<std::size_t>(i * all / count)];
    for (const bool first : {true, false}) {
      const bool is_query = first || example.score;  // the texts of a scored pair are of equal rank
      const TrainingText some = text(first ? example.query : example.positive, example.group, is_query, data);
      batch.add(some.ids, some.shape);
    }
    if (batch.segments().rows() >= options.batch_tokens) flush(static_cast<double>(i + 1) / static_cast<double>(count));
  }
  if (batch.segments().size() > 0) flush(1);
  progress.finish();
  settings.reading.calibration = estimator.estimate<float>();
  settings.config.calibration = io::CalibrationConfig{.texts = estimator.texts()};
}

std::vector<std::vector<Index>> TrainingJob::batches(Index step) {
  std::vector<std::vector<Index>> batches;
  for (Index i = 0; i < options.learning.accumulate; ++i)
    batches.push_back(plan_->batch(step * options.learning.accumulate + i));
  return batches;
}

std::vector<std::vector<Index>> TrainingJob::held_out_batches() const {
  if (held_out.examples.empty()) return {};
  constexpr Index most = 16;
  BatchPlan plan = held_out_plan(options, held_out);
  std::vector<std::vector<Index>> batches;
  for (Index i = 0; i < std::min(most, plan.batches_per_epoch()); ++i) batches.push_back(plan.batch(i));
  return batches;
}

bool TrainingJob::in_batch_negatives(const std::vector<Index>& batch, const TrainingData& from) const {
  const auto& without = options.learning.without_in_batch;
  return std::none_of(batch.begin(), batch.end(), [&](Index i) {
    const Index group = from.examples[static_cast<std::size_t>(i)].group;
    return std::find(without.begin(), without.end(), from.groups[static_cast<std::size_t>(group)]) != without.end();
  });
}

TrainingSettings TrainingJob::training_settings() const {
  const LearningOptions& learning = options.learning;
  TrainingSettings result;
  result.schedule = {learning.decay, learning.warmup, learning.steps};
  result.rate = options.freeze_backbone ? head_rate() : learning.rate.value();  // of what is trained: the log has it
  result.head_rate = head_rate();
  result.weight_decay = learning.weight_decay;
  result.longest_gradient = learning.longest_gradient;
  result.dropout = learning.dropout;
  result.seed = learning.seed;
  result.chunk = learning.chunk;
  return result;
}

void TrainingJob::write() {
  if (!options.quiet) texts_.cut().report(options.label);
  if (settings.adapter)
    io::write_peft_adapter(*settings.adapter,
                           {.base_model = model.path(), .dropout = options.learning.dropout,
                            .rank_stabilised = options.lora.rank_stabilised, .blocks = model.decoder().layers()},
                           options.output);
  io::SavedEmbedder saved{settings.config, settings.reading.params, settings.reading.calibration};
  saved.config.adapter = settings.adapter.has_value();
  saved.write(options.output);
}

}  // namespace embedpool::program
