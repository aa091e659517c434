#include "training.hpp"

#include <cstdio>
#include <filesystem>

#include "command.hpp"
#include "embedpool/io/atomic_file.hpp"
#include "folder_lock.hpp"
#include "gpu/require_gpu.hpp"
#include "training_checks.hpp"
#include "training_job.hpp"
#include "training_recipe.hpp"

namespace embedpool::program {
namespace {

FolderLock prepared_folder(const TrainOptions& options) {
  std::error_code problem;
  std::filesystem::create_directories(options.output, problem);
  if (problem) throw FileError(options.output, "create folder", problem.message());
  FolderLock lock(options.output);
  const std::filesystem::path folder(options.output);
  for (const char* name : {"checkpoint.safetensors", io::SavedEmbedder::config_name})
    if (!options.resume && std::filesystem::exists(folder / name))
      throw FileError(options.output, name, "is of an earlier training; go on with it by --resume, or name another folder");
  if (options.resume && std::filesystem::exists(folder / io::SavedEmbedder::config_name) &&
      !std::filesystem::exists(folder / "checkpoint.safetensors"))
    throw FileError(options.output, "checkpoint.safetensors", "is missing: there is no training to go on with; name another folder");
  // A process that was killed while it wrote one of these left a part of it.
  for (const char* name : {"checkpoint.safetensors", "log.jsonl", "adapter_model.safetensors", "adapter_config.json",
                           "head.safetensors", "calibration.safetensors", io::SavedEmbedder::config_name})
    io::remove_unfinished(folder / name);
  // What cannot be written is said before hours of work.
  io::AtomicFile{folder / "checkpoint.safetensors"};
  if (!options.key_cache.empty() && !std::filesystem::exists(options.key_cache)) io::AtomicFile{options.key_cache};
  return lock;
}

void run(const TrainOptions& options, const Model& model, const TrainingExamples& examples) {
  const FolderLock lock = prepared_folder(options);
  TrainingJob job(options, model, examples);
  if (options.verbose) std::fprintf(stderr, "embedpool: settings\n%s", describe(job.settings.config, model).c_str());
  const bool finished = options.freeze_backbone ? train_head(job) : train_backbone(job);
  if (!finished) throw Interrupted();
  job.write();
}

}  // namespace

TrainingExamples ready_examples(TrainOptions& options) {
  apply_recipe(options);
  TrainingExamples examples = read_examples(options);
  check_flags(options, examples);
  apply_learning_recipe(*examples.data, options.learning);
  check_data(options, examples);
  return examples;
}

void train(TrainOptions options, const Model& model) {
  if (options.device == "cuda") require_gpu(AnyCompute::parse(options.compute));
  const TrainingExamples examples = ready_examples(options);
  if (!options.freeze_backbone)
    require_in("--lora-first-layer", "block", options.lora.first_layer, 0, model.decoder().layers() - 1);
  if (!options.freeze_backbone && options.head.empty() && options.head_steps.value_or(0) > 0) {
    TrainOptions first = head_training(options);
    if (!options.resume) prepared_folder(options);  // refused before the head is trained
    // A checkpoint of what follows knows its head, data and flags; without one the head's own says whether it is of these.
    const bool goes_on = options.resume && std::filesystem::exists(options.output + "/checkpoint.safetensors") &&
                         std::filesystem::exists(std::filesystem::path(first.output) / io::SavedEmbedder::config_name);
    if (!goes_on) run(first, model, {examples.data, std::make_shared<TrainingData>()});
    options.head = first.output;
  }
  run(options, model, examples);
}

}  // namespace embedpool::program
