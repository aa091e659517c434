#include "training_job.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "embedpool/eval/task_kind.hpp"
#include "embedpool/io/peft_adapter_writer.hpp"
#include "trained_head.hpp"

namespace embedpool::program {
namespace {

/// Refuses instructions that nothing follows: of a task that is neither the data's nor a kind of data sets.
void check_instructions(const TrainOptions& options, const TrainingData& data) {
  for (const auto& [task, text] : parse_instructions(options.instructions))
    if (std::find(data.groups.begin(), data.groups.end(), task) == data.groups.end() && !task_kind_of(task))
      throw ShapeError("--instruction " + task + "=" + text + ": the data has no task '" + task +
                       "', and no kind of data sets is called so");
}

/// Refuses scores that the chosen loss cannot take, and batches whose examples would have different losses.
void check_scores(const TrainOptions& options, const TrainingData& data) {
  const auto other = [&](const TrainingExample& e) { return taught_by(e) != taught_by(data.examples.front()); };
  if (options.learning.mixed.value() && std::any_of(data.examples.begin(), data.examples.end(), other))
    throw ShapeError("--mixed-batches: only some of the data has scores, or a teacher's embeddings, and their losses differ; "
                     "--one-task-batches keeps them apart");
  if (options.learning.scored_loss != "cosine-mse") return;
  for (const TrainingExample& example : data.examples)
    if (example.score && std::abs(*example.score) > 1)
      throw ShapeError("--scored-loss cosine-mse: the score of '" + example.query.substr(0, 80) + "' is " +
                       std::to_string(*example.score) + ", must be in [-1, 1]");
}

/// So many of the examples, at equal distances, so that every task has its share; 0: all.
void thin_out(std::vector<TrainingExample>& examples, Index count) {
  const Index all = static_cast<Index>(examples.size());
  if (count <= 0 || count >= all) return;
  for (Index i = 0; i < count; ++i) std::swap(examples[static_cast<std::size_t>(i)], examples[static_cast<std::size_t>(i * all / count)]);
  examples.resize(static_cast<std::size_t>(count));
}

TrainingData read(const std::vector<std::string>& files, const TrainOptions& options, Index examples) {
  TrainingData data = read_training_data(files, options.skip_bad_lines ? BadLines::skipped : BadLines::refused);
  if (data.skipped_lines > 0)
    std::fprintf(stderr, "embedpool: %td lines were no examples and were skipped\n", data.skipped_lines);
  thin_out(data.examples, examples);
  return data;
}

Index batch_size(const TrainOptions& options, const TrainingData& data) {
  if (!options.shrink_batch) return options.learning.batch.value();
  std::vector<Index> sizes(data.groups.size(), 0);
  for (const TrainingExample& example : data.examples) ++sizes[static_cast<std::size_t>(example.group)];
  return std::min(options.learning.batch.value(), *std::max_element(sizes.begin(), sizes.end()));
}

std::vector<Index> groups_of(const TrainingData& data) {
  std::vector<Index> groups;
  for (const TrainingExample& example : data.examples) groups.push_back(example.group);
  return groups;
}

BatchMixing mixing(const TrainOptions& options) {
  return options.learning.mixed.value() ? BatchMixing::mixed : BatchMixing::one_group;
}

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

void check_data(const TrainOptions& options) {
  const TrainingData data = read(options.data, options, options.examples);
  check_instructions(options, data);
  check_scores(options, data);
  for (const std::string& task : options.learning.without_in_batch)
    if (std::find(data.groups.begin(), data.groups.end(), task) == data.groups.end())
      throw ShapeError("--no-in-batch-negatives " + task + ": the data has no task '" + task + "'");
  BatchPlan(groups_of(data), batch_size(options, data), options.learning.seed, mixing(options));
  if (options.held_out.empty()) return;
  const TrainingData held_out = read(options.held_out, options, 0);
  check_scores(options, held_out);
  BatchPlan(groups_of(held_out), options.learning.batch.value(), 0, mixing(options));
}

bool has_scored_pairs(const TrainingData& data) {
  return std::any_of(data.examples.begin(), data.examples.end(), [](const auto& e) { return e.score.has_value(); });
}

TrainingJob::TrainingJob(const TrainOptions& flags, const Model& of_model)
    : options(flags), model(of_model), settings(saved_settings(flags, of_model)), data(read(flags.data, flags, flags.examples)),
      texts_(of_model.tokenizer(), cut(settings.config.layout, flags.max_tokens),
             settings.config.prompts, flags.strict) {
  check_instructions(options, data);
  plan_.emplace(groups_of(data), batch_size(options, data), options.learning.seed, mixing(options));
  for (const Index group : plan_->unused_groups())
    std::fprintf(stderr, "embedpool: task '%s' has too few examples for a batch and is left out\n",
                 data.groups[static_cast<std::size_t>(group)].c_str());
  if (!options.held_out.empty()) held_out = read(options.held_out, options, 0);
  Reading& reading = settings.reading;
  const Index width = model.decoder().width(), slots = reading.slots(model.decoder().layers());
  if (options.head.empty()) {
    reading.head = new_head(options.head_options, width, slots);
    reading.params = reading.head.init<float>(width, slots, options.learning.seed);
    settings.config.head = reading.head;
    if (options.calibrate && !reading.calibration) calibrate();
  }
  reading.head.check(reading.params, width, slots);
}

TrainingText TrainingJob::text(const std::string& text, Index group, bool is_query, const TrainingData& from) {
  return texts_(text, from.groups[static_cast<std::size_t>(group)], is_query);
}

void TrainingJob::begin_self_teaching() {
  if (data.teacher_width > 0 && options.learning.self_weight > 0) self_teacher_.emplace(*this);
}

/// Queries and positives of examples at equal distances, so that every task has its share.
void TrainingJob::calibrate() {
  const Index examples = static_cast<Index>(data.examples.size());
  const Index count = std::min(examples, std::max<Index>(1, options.calibration_texts / 2));
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
    const TrainingExample& example = data.examples[static_cast<std::size_t>(i * examples / count)];
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
  BatchPlan plan(groups_of(held_out), options.learning.batch.value(), 0, mixing(options));
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
  result.rate = learning.rate.value();
  result.head_rate = head_rate();
  result.weight_decay = learning.weight_decay;
  result.longest_gradient = learning.longest_gradient;
  result.dropout = learning.dropout;
  result.seed = learning.seed;
  result.chunk = learning.chunk;
  return result;
}

void TrainingJob::write() {
  if (texts_.truncated() > 0 && !options.quiet)
    std::fprintf(stderr, "embedpool: %td of %td texts were longer than %td tokens and were cut\n", texts_.truncated(),
                 texts_.texts(), texts_.max_tokens());
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
