#include "training_examples.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>

namespace embedpool::program {
namespace {

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

}  // namespace embedpool::program
