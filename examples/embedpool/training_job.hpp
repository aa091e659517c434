#pragma once
#include <string>

#include "embedpool/pooling/pooling.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/trainer.hpp"
#include "forward_pass.hpp"
#include "model.hpp"
#include "progress.hpp"
#include "self_teacher.hpp"
#include "settings.hpp"
#include "train_options.hpp"
#include "training_examples.hpp"
#include "training_recipe.hpp"
#include "training_texts.hpp"

namespace embedpool::program {

/// One training, whatever is trained: the data, the order in which steps see it, and where the result goes.
class TrainingJob {
 public:
  /// Takes its share of the examples, and estimates the calibration where one is wanted.
  ///
  /// Errors  those of the model, the data and the flags, each by name
  TrainingJob(const TrainOptions& options, const Model& model, const TrainingExamples& examples);

  const TrainOptions options;
  const TrainingExamples examples;
  const TrainingData &data = *examples.data, &held_out = *examples.held_out;
  const Model& model;
  Settings settings;  ///< the trained head goes into settings.reading.params, the adapter into settings.adapter

  TrainingText text(const std::string& text, Index group, bool is_query, const TrainingData& from);
  Index tokens() const noexcept { return texts_.tokens(); }

  /// The model as it is now becomes a second teacher beside the data's, where that has one and the flags want it.
  void begin_self_teaching();
  /// Puts what the second teacher makes of the texts beside the data's, if there is one.
  void self_teach(ContrastiveTexts<TrainingText>& texts) {
    if (self_teacher_) self_teacher_->join(texts);
  }

  /// Examples of the batches of a step; those of a look at held-out data, none without it.
  std::vector<std::vector<Index>> batches(Index step);
  std::vector<std::vector<Index>> held_out_batches() const;
  /// Whether other queries' documents are no negatives for this batch.
  bool in_batch_negatives(const std::vector<Index>& batch, const TrainingData& from) const;

  /// The learning rate of the head: the flag's, or what suits the kind of head.
  double head_rate() const { return options.learning.head_rate.value_or(default_head_rate(settings.reading.head.name())); }
  /// How much the model as it was counts beside the data's teacher: the flag's, or half as much if it has a trained head to
  /// teach by; not at all where the data has no teacher.
  double self_weight() const {
    return data.teacher_width > 0 ? options.learning.self_weight.value_or(options.head.empty() ? 0 : 0.5) : 0;
  }
  TrainingSettings training_settings() const;
  /// How many blocks keep what backward reads; the others are computed again.
  Index kept_blocks() const noexcept {
    return options.learning.kept_blocks < 0 ? DecoderTraining<float>::every_block : options.learning.kept_blocks;
  }
  /// Everything that decides the bits of the result, for checkpoints to compare.
  std::string description() const;
  /// Errors: FileError naming the first setting in which a checkpoint's training differs from this one.
  void require_same_training(const std::string& checkpoint) const;
  /// What the model and its start are, beside the flags: other keys, and another training, when they have changed.
  io::Json beginnings() const { return {{"model", model.digest()}, {"start", start_}}; }
  std::string file(const char* name) const { return options.output + "/" + name; }

  /// Writes the trained folder: PEFT's files, then head and calibration, embedder.json last.
  void write();

 private:
  void calibrate();
  /// Refuses a head without parameters that is trained alone, and pairs behind all that is read. Errors: ShapeError
  void check_learns();

  TrainingTexts texts_;
  std::string start_{};  ///< digest of what --start-from holds; empty without it
  std::optional<BatchPlan> plan_{};
  std::optional<SelfTeacher> self_teacher_{};
};

/// A model whose LoRA pairs and head are trained.
using BackboneInTraining = TrainedEmbedder<float, AnyMask, Pooling<AnyLayers, AnyTokens, AnyHead>>;

/// Trains LoRA pairs and the head together; the result lies in the job's settings. False when interrupted.
bool train_backbone(TrainingJob& job);
/// Trains the head alone on keys that are computed once.
bool train_head(TrainingJob& job);

}  // namespace embedpool::program
