#include "training_examples.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "embedpool/eval/task_kind.hpp"
#include "settings.hpp"

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

/// Refuses a teacher's flags without one.
void check_teacher(const TrainOptions& options, const TrainingData& data) {
  if (options.learning.self_weight && (data.teacher_width == 0 || options.freeze_backbone))
    throw ShapeError("--self-weight: is for LoRA from a teacher, and " +
                     std::string(options.freeze_backbone ? "the backbone is frozen" : "the data has none"));
}

/// Refuses examples that have nothing to be told from, whose loss is 0 whatever the model is.
void check_negatives(const LearningOptions& learning, const TrainingData& data) {
  const auto& without = learning.without_in_batch;
  for (const std::string& task : without)
    if (std::find(data.groups.begin(), data.groups.end(), task) == data.groups.end())
      throw ShapeError("--no-in-batch-negatives " + task + ": the data has no task '" + task + "'");
  if (!without.empty() && learning.mixed.value())
    throw ShapeError("--no-in-batch-negatives contradicts --mixed-batches: it holds for whole batches");
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

/// Refuses what triplets do not have: examples without a hard negative, and settings of InfoNCE.
void check_triplets(const LearningOptions& learning, const TrainingData& data) {
  if (learning.loss != "triplet") return;
  if (learning.symmetric || learning.learn_temperature || learning.false_negative_margin)
    throw ShapeError("--loss triplet contradicts --symmetric, --learn-temperature and --false-negative-margin");
  for (const TrainingExample& example : data.examples)
    if (!example.score && example.teacher.empty() && (example.negatives.empty() || learning.most_negatives == 0))
      throw ShapeError("--loss triplet: '" + example.query.substr(0, 80) + "' has no hard negative");
}

/// The flag's, or where it may shrink as many as tasks of at least nine in ten examples can fill.
Index batch_size(const TrainOptions& options, const TrainingData& data) {
  const Index wanted = options.learning.batch.value(), examples = static_cast<Index>(data.examples.size());
  if (!options.shrink_batch) return wanted;
  if (options.learning.mixed.value()) return std::min(wanted, examples);
  std::vector<Index> sizes(data.groups.size(), 0);
  for (const TrainingExample& example : data.examples) ++sizes[static_cast<std::size_t>(example.group)];
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  Index filled = 0;
  for (const Index size : sizes)
    if (filled += size; 10 * filled >= 9 * examples) return std::min(wanted, size);
  return wanted;
}

BatchPlan plan(const TrainOptions& options, const TrainingData& data, Index batch, std::uint64_t seed) {
  std::vector<Index> groups;
  for (const TrainingExample& example : data.examples) groups.push_back(example.group);
  const BatchMixing mixing = options.learning.mixed.value() ? BatchMixing::mixed : BatchMixing::one_group;
  return BatchPlan(std::move(groups), batch, seed, mixing);
}

}  // namespace

TrainingExamples read_examples(const TrainOptions& options) {
  const auto read = [&](const std::vector<std::string>& files) -> Examples {
    if (files.empty()) return std::make_shared<TrainingData>();
    TrainingData data = read_training_data(files, options.skip_bad_lines ? BadLines::skipped : BadLines::refused);
    if (data.skipped_lines > 0)
      std::fprintf(stderr, "embedpool: %td lines were no examples and were skipped\n", data.skipped_lines);
    return std::make_shared<TrainingData>(std::move(data));
  };
  return {read(options.data), read(options.held_out)};
}

Examples thinned(const Examples& all, Index count) {
  const Index size = static_cast<Index>(all->examples.size());
  if (count <= 0 || count >= size) return all;
  auto some = std::make_shared<TrainingData>(TrainingData{{}, all->groups, all->teacher_width, all->skipped_lines});
  for (Index i = 0; i < count; ++i) some->examples.push_back(all->examples[static_cast<std::size_t>(i * size / count)]);
  return some;
}

BatchPlan batch_plan(const TrainOptions& options, const TrainingData& data) {
  return plan(options, data, batch_size(options, data), options.learning.seed);
}

BatchPlan held_out_plan(const TrainOptions& options, const TrainingData& data) {
  try {
    return plan(options, data, options.learning.batch.value(), 0);
  } catch (const ShapeError& error) {
    throw ShapeError("--held-out: " + std::string(error.what()));
  }
}

bool has_scored_pairs(const TrainingData& data) {
  return std::any_of(data.examples.begin(), data.examples.end(), [](const auto& e) { return e.score.has_value(); });
}

void check_data(const TrainOptions& options, const TrainingExamples& examples) {
  const Examples data = thinned(examples.data, options.examples);
  check_instructions(options, *data);
  check_scores(options, *data);
  check_teacher(options, *data);
  check_triplets(options.learning, *data);
  check_negatives(options.learning, *data);
  report_missing_negatives(options, *data);
  batch_plan(options, *data);
  if (options.held_out.empty()) return;
  check_scores(options, *examples.held_out);
  check_triplets(options.learning, *examples.held_out);
  held_out_plan(options, *examples.held_out);
}

}  // namespace embedpool::program
