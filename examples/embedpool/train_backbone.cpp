#include "embedpool/pooling/pooling.hpp"
#include "training_loop.hpp"

namespace embedpool::program {

bool train_backbone(TrainingJob& job) {
  using TrainedModel = TrainedEmbedder<float, AnyMask, Pooling<AnyLayers, AnyTokens, AnyHead>>;
  const TrainOptions& options = job.options;
  Reading& reading = job.settings.reading;
  const Decoder<float>& decoder = job.model.decoder();
  LoraOptions lora = options.lora;
  lora.seed = options.learning.seed;
  TrainedModel trained(decoder,
                job.settings.adapter ? *job.settings.adapter : new_lora_adapter<float>(decoder.config(), lora),
                {reading.layers, reading.tokens, reading.head}, reading.params,
                as_trained(job.settings.config.mask, decoder.trained_window()), {},
                options.learning.kept_blocks < 0 ? DecoderTraining<float>::every_block : options.learning.kept_blocks);
  trained.calibration = reading.calibration;
  trained.finishing = {};
  ThreadPool executor(options.threads);
  const Index width = reading.head.output_width(decoder.width());
  const bool finished = run_job(
      trained, width, job,
      [&](const std::string& text, Index group, bool is_query, const TrainingData& from) {
        return job.text(text, group, is_query, from);
      },
      executor);
  reading.params = trained.params;
  job.settings.adapter = trained.adapter;
  return finished;
}

}  // namespace embedpool::program
