#pragma once
#include <optional>

#include "embedpool/loss/any_pair_loss.hpp"
#include "embedpool/loss/loss_of_batch.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/loss/triplet_or.hpp"
#include "embedpool/train/checkpoint.hpp"
#include "embedpool/train/learned_scale.hpp"
#include "embedpool/train/run_training.hpp"
#include "embedpool/train/training_batch.hpp"
#include "embedpool/train/training_log.hpp"
#include "stop_signal.hpp"
#include "training_job.hpp"

namespace embedpool::program {

/// InfoNCE or triplets, a loss for scored pairs, and distillation, as the flags have them, on the whole vector and on its
/// beginnings. `Contrast` is InfoNCE, or computes it on a device.
template <std::derived_from<InfoNCE> Contrast>
auto chosen_loss(const LearningOptions& options, Index width, Contrast contrast) {
  using Loss = LossOfBatch<TripletOr<LearnedScale<float, Contrast>>, AnyPairLoss>;
  static_cast<InfoNCE&>(contrast) = options.loss == "qwen3" ? InfoNCE::qwen3() : InfoNCE{};
  contrast.scale = 1 / options.temperature.value();
  contrast.symmetric = options.symmetric;
  if (options.false_negative_margin) contrast.false_negatives.margin = options.false_negative_margin;
  const AnyPairLoss scored = AnyPairLoss::parse(options.scored_loss, contrast.scale);
  const SimilarityDistillation distilled{contrast.scale};
  LearnedScale<float, Contrast> info_nce(std::move(contrast));
  info_nce.learns = options.learn_temperature;
  std::optional<Triplet> triplet;
  if (options.loss == "triplet") triplet = Triplet{options.triplet_margin, true};
  Matryoshka<Loss> loss{{{std::move(info_nce), triplet}, scored, distilled}, {}, {}};
  loss.dimensions = options.matryoshka;
  std::sort(loss.dimensions.begin(), loss.dimensions.end());
  loss.dimensions.erase(std::unique(loss.dimensions.begin(), loss.dimensions.end()), loss.dimensions.end());
  if (std::find(loss.dimensions.begin(), loss.dimensions.end(), width) == loss.dimensions.end())
    loss.dimensions.push_back(width);
  loss.weights.assign(loss.dimensions.size(), 1.0 / static_cast<double>(loss.dimensions.size()));
  return loss;
}

/// What makes a job's texts for a model that reads all of them.
inline auto text_maker(TrainingJob& job) {
  return [&job](const std::string& text, Index group, bool is_query, const TrainingData& from) {
    return job.text(text, group, is_query, from);
  };
}

/// The steps of a job on a model whose texts `text_of(string, group, is_query, data)` makes; with a log, looks at held-out
/// data, checkpoints and progress. False when interrupted: the checkpoint is written.
template <TrainableModel TrainedModel, class TextOf, class Contrast = InfoNCE>
bool run_job(TrainedModel& trained, Index width, TrainingJob& job, TextOf&& text_of, ThreadPool& executor,
             Contrast contrast = {}) {
  const TrainOptions& options = job.options;
  const Index steps = options.learning.steps;
  const auto texts_of = [&](const std::vector<Index>& chosen, const TrainingData& from) {
    auto texts = training_batch<typename TrainedModel::Text>(
        from, chosen, options.learning.most_negatives,
        [&](const std::string& text, Index group, bool is_query) { return text_of(text, group, is_query, from); });
    texts.in_batch_negatives = job.in_batch_negatives(chosen, from);
    if constexpr (std::same_as<typename TrainedModel::Text, TrainingText>) job.self_teach(texts);
    return texts;
  };
  Trainer trainer(trained, chosen_loss(options.learning, width, std::move(contrast)), job.training_settings());
  const std::string checkpoint = job.file("checkpoint.safetensors");
  if (options.resume && std::filesystem::exists(checkpoint)) {
    job.require_same_training(checkpoint);
    read_checkpoint(trainer, job.description(), checkpoint);
  }
  TrainingLog log(job.file("log.jsonl"), trainer.steps());
  std::vector<ContrastiveTexts<typename TrainedModel::Text>> held_out;  // made once: a second teacher reads them, too
  for (const auto& chosen : job.held_out_batches()) held_out.push_back(texts_of(chosen, job.held_out));
  std::string held_out_loss;
  const auto look_at_held_out = [&] {
    if (held_out.empty()) return;
    double loss = 0;
    for (const auto& batch : held_out) loss += trainer.evaluate(batch, executor) / static_cast<double>(held_out.size());
    log.evaluation(trainer.steps(), loss);
    held_out_loss = ", held out " + Progress::number(loss);
  };
  const Index first = trainer.steps();
  if (first == 0) look_at_held_out();
  Progress progress(options.label + "train", options.quiet);
  Index texts = 0, tokens = job.tokens();
  const StopSignal stop;
  const RunEnd end = run_training(
      trainer, {steps, checkpoint, job.description(), options.checkpoint_every},
      [&](Index step) {
        texts = 0;
        std::vector<ContrastiveTexts<typename TrainedModel::Text>> batches;
        for (const auto& chosen : job.batches(step)) {
          batches.push_back(texts_of(chosen, job.data));
          texts += static_cast<Index>(batches.back().texts.size());
        }
        return batches;
      },
      [&](const StepReport& report) {
        log.step(report);
        const Index done = trainer.steps();
        if (done % options.held_out_every == 0 || done == steps) look_at_held_out();
        progress.add(texts, job.tokens() - tokens, static_cast<double>(done - first) / static_cast<double>(steps - first),
                     "step " + std::to_string(done) + " of " + std::to_string(steps) + ", loss " +
                         Progress::number(report.loss) + held_out_loss);
        tokens = job.tokens();
        if (options.stepped) options.stepped(done);
      },
      StopSignal::requested(), executor);
  progress.finish();
  if (end == RunEnd::interrupted)
    std::fprintf(stderr, "embedpool: stopped after step %td of %td; the same command%s goes on\n", trainer.steps(), steps,
                 options.stepped ? "" : " with --resume");  // compare, which looks on, always goes on
  return end == RunEnd::finished;
}

}  // namespace embedpool::program
