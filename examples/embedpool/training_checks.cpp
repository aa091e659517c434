#include "training_checks.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "embedpool/eval/task_kind.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

bool any_taught_by(TaughtBy teacher, const TrainingData& data) {
  return std::any_of(data.examples.begin(), data.examples.end(), [&](const auto& e) { return taught_by(e) == teacher; });
}

bool any_taught_by(TaughtBy teacher, const TrainingExamples& examples) {
  return any_taught_by(teacher, *examples.data) || any_taught_by(teacher, *examples.held_out);
}

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

/// Refuses a teacher's flags without one.
void check_teacher(const TrainOptions& options, const TrainingData& data) {
  if (options.learning.self_weight && (data.teacher_width == 0 || options.freeze_backbone))
    throw ShapeError("--self-weight: is for LoRA from a teacher, and " +
                     std::string(options.freeze_backbone ? "the backbone is frozen" : "the data has none"));
}

/// Refuses --no-in-batch-negatives where nothing follows it.
void check_negatives(const LearningOptions& learning, const TrainingData& data) {
  const auto& without = learning.without_in_batch;
  for (const std::string& task : without) {
    const auto group = std::find(data.groups.begin(), data.groups.end(), task) - data.groups.begin();
    if (group == std::ssize(data.groups))
      throw ShapeError("--no-in-batch-negatives " + task + ": the data has no task '" + task + "'");
    const auto contrasts = [&](const auto& e) { return e.group == group && taught_by(e) == TaughtBy::positive; };
    if (std::none_of(data.examples.begin(), data.examples.end(), contrasts))
      throw ShapeError("--no-in-batch-negatives " + task + " would change nothing: it has scores or a teacher's embeddings");
  }
  if (!without.empty() && learning.mixed.value())
    throw ShapeError("--no-in-batch-negatives contradicts --mixed-batches: it holds for whole batches");
}

/// Refuses examples that have nothing to be told from, whose loss is 0 whatever the model is.
void check_contrasts(const LearningOptions& learning, const TrainingData& data) {
  const auto& without = learning.without_in_batch;
  for (const TrainingExample& example : data.examples) {
    if (taught_by(example) != TaughtBy::positive || (!example.negatives.empty() && learning.most_negatives > 0)) continue;
    const std::string& task = data.groups[static_cast<std::size_t>(example.group)];
    const bool own_alone = std::find(without.begin(), without.end(), task) != without.end();
    if (own_alone || learning.batch.value() == 1)
      throw ShapeError((own_alone ? "--no-in-batch-negatives " + task : std::string("--batch 1")) + ": '" +
                       example.query.substr(0, 80) + "' has no hard negative, and nothing else to be told from");
  }
}

/// Says how many examples make their batches do without hard negatives.
void report_missing_negatives(const TrainOptions& options, const TrainingData& data) {
  const auto lacks = [](const TrainingExample& e) { return taught_by(e) == TaughtBy::positive && e.negatives.empty(); };
  const auto count = std::count_if(data.examples.begin(), data.examples.end(), lacks);
  const auto with = std::count_if(data.examples.begin(), data.examples.end(), [](const auto& e) { return !e.negatives.empty(); });
  if (count == 0 || with == 0 || options.learning.most_negatives == 0 || options.quiet) return;
  std::fprintf(stderr, "embedpool: %td of %zu examples have no hard negative: batches that hold one take none of any example\n",
               count, data.examples.size());
}

/// Says where all steps are warmup: the first of them has rate 0, so that a training of one step learns nothing.
void report_warmup(const TrainOptions& options) {
  const LearningOptions& learning = options.learning;
  if (learning.warmup < learning.steps || options.quiet) return;
  std::fprintf(stderr, "embedpool: --warmup %td takes all of --steps %td: the learning rate goes from 0 to %.2g of its peak\n",
               learning.warmup, learning.steps, static_cast<double>(learning.steps - 1) / static_cast<double>(learning.warmup));
}

/// Refuses what triplets do not have: examples without a hard negative, and settings of InfoNCE.
void check_triplets(const LearningOptions& learning, const TrainingData& data) {
  if (learning.loss != "triplet") return;
  if (learning.symmetric || learning.learn_temperature || learning.false_negative_margin)
    throw ShapeError("--loss triplet contradicts --symmetric, --learn-temperature and --false-negative-margin");
  for (const TrainingExample& example : data.examples)
    if (!example.score && example.teacher.empty() && (example.negatives.empty() || learning.most_negatives == 0))
      throw ShapeError("--loss triplet: '" + example.query.substr(0, 80) + "' has no hard negative");
}

}  // namespace

void check_flags(const TrainOptions& options, const TrainingExamples& examples) {
  const LearningOptions& learning = options.learning;
  const LearningOptions defaults;
  const bool positives = any_taught_by(TaughtBy::positive, examples), scores = any_taught_by(TaughtBy::score, examples);
  const auto needs = [](bool given, const char* flag, bool there, const char* what) {
    if (given && !there) throw ShapeError(flag + std::string(" would change nothing: ") + what);
  };
  const char* const no_positives = "every line of the data has a score or a teacher's embeddings";
  needs(learning.loss != defaults.loss, "--loss", positives, no_positives);
  needs(learning.symmetric, "--symmetric", positives, no_positives);
  needs(learning.learn_temperature, "--learn-temperature", positives, no_positives);
  needs(learning.false_negative_margin.has_value(), "--false-negative-margin", positives, no_positives);
  needs(learning.triplet_margin != defaults.triplet_margin, "--triplet-margin", positives && learning.loss == "triplet",
        "it is of --loss triplet");
  needs(learning.scored_loss != defaults.scored_loss, "--scored-loss", scores, "no line of the data has a score");
  needs(learning.temperature.has_value(), "--temperature",
        (positives && learning.loss != "triplet") || (scores && learning.scored_loss != "cosine-mse") ||
            any_taught_by(TaughtBy::teacher, examples),
        "no loss of this data divides by it");
  needs(learning.rate.has_value(), "--lr", !options.freeze_backbone, "it is of the adapter, and the backbone is frozen");
}

void check_data(const TrainOptions& options, const TrainingExamples& examples) {
  const Examples data = thinned(examples.data, options.examples);
  check_instructions(options, *data);
  check_scores(options, *data);
  check_teacher(options, *data);
  check_triplets(options.learning, *data);
  check_negatives(options.learning, *data);
  check_contrasts(options.learning, *data);
  report_missing_negatives(options, *data);
  report_warmup(options);
  batch_plan(options, *data);
  if (options.held_out.empty()) return;
  check_scores(options, *examples.held_out);
  check_triplets(options.learning, *examples.held_out);
  check_contrasts(options.learning, *examples.held_out);
  held_out_plan(options, *examples.held_out);
}

}  // namespace embedpool::program
