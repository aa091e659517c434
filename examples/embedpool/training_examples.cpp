#include "training_examples.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

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

/// Refuses what triplets do not have: examples without a hard negative, and settings of InfoNCE.
void check_triplets(const LearningOptions& learning, const TrainingData& data) {
  if (learning.loss != "triplet") return;
  if (learning.symmetric || learning.learn_temperature || learning.false_negative_margin)
    throw ShapeError("--loss triplet contradicts --symmetric, --learn-temperature and --false-negative-margin");
  for (const TrainingExample& example : data.examples)
    if (!example.score && example.teacher.empty() && (example.negatives.empty() || learning.most_negatives == 0))
      throw ShapeError("--loss triplet: '" + example.query.substr(0, 80) + "' has no hard negative");
}

void thin_out(std::vector<TrainingExample>& examples, Index count) {
  const Index all = static_cast<Index>(examples.size());
  if (count <= 0 || count >= all) return;
  const auto example = [&](Index i) -> TrainingExample& { return examples[static_cast<std::size_t>(i)]; };
  for (Index i = 0; i < count; ++i) std::swap(example(i), example(i * all / count));
  examples.resize(static_cast<std::size_t>(count));
}

Index batch_size(const TrainOptions& options, const TrainingData& data) {
  if (!options.shrink_batch) return options.learning.batch.value();
  std::vector<Index> sizes(data.groups.size(), 0);
  for (const TrainingExample& example : data.examples) ++sizes[static_cast<std::size_t>(example.group)];
  return std::min(options.learning.batch.value(), *std::max_element(sizes.begin(), sizes.end()));
}

BatchPlan plan(const TrainOptions& options, const TrainingData& data, Index batch, std::uint64_t seed) {
  std::vector<Index> groups;
  for (const TrainingExample& example : data.examples) groups.push_back(example.group);
  const BatchMixing mixing = options.learning.mixed.value() ? BatchMixing::mixed : BatchMixing::one_group;
  return BatchPlan(std::move(groups), batch, seed, mixing);
}

}  // namespace

TrainingData read_examples(const std::vector<std::string>& files, const TrainOptions& options, Index examples) {
  TrainingData data = read_training_data(files, options.skip_bad_lines ? BadLines::skipped : BadLines::refused);
  if (data.skipped_lines > 0)
    std::fprintf(stderr, "embedpool: %td lines were no examples and were skipped\n", data.skipped_lines);
  thin_out(data.examples, examples);
  return data;
}

BatchPlan batch_plan(const TrainOptions& options, const TrainingData& data) {
  return plan(options, data, batch_size(options, data), options.learning.seed);
}

BatchPlan held_out_plan(const TrainOptions& options, const TrainingData& data) {
  return plan(options, data, options.learning.batch.value(), 0);
}

bool has_scored_pairs(const TrainingData& data) {
  return std::any_of(data.examples.begin(), data.examples.end(), [](const auto& e) { return e.score.has_value(); });
}

void check_data(const TrainOptions& options) {
  const TrainingData data = read_examples(options.data, options, options.examples);
  check_instructions(options, data);
  check_scores(options, data);
  check_triplets(options.learning, data);
  for (const std::string& task : options.learning.without_in_batch)
    if (std::find(data.groups.begin(), data.groups.end(), task) == data.groups.end())
      throw ShapeError("--no-in-batch-negatives " + task + ": the data has no task '" + task + "'");
  batch_plan(options, data);
  if (options.held_out.empty()) return;
  const TrainingData held_out = read_examples(options.held_out, options, 0);
  check_scores(options, held_out);
  check_triplets(options.learning, held_out);
  held_out_plan(options, held_out);
}

}  // namespace embedpool::program
