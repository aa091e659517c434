#include "gpu/gpu_training.hpp"
#include "training_loop.hpp"

namespace embedpool::program {

bool train_backbone(TrainingJob& job) {
  const TrainOptions& options = job.options;
  Reading& reading = job.settings.reading;
  job.begin_self_teaching();
  const Decoder<float>& decoder = job.model.decoder();
  LoraOptions lora = options.lora;
  lora.seed = options.learning.seed;
  BackboneInTraining trained(
      decoder, job.settings.adapter ? *job.settings.adapter : new_lora_adapter<float>(decoder.config(), lora),
      {reading.layers, reading.tokens, reading.head}, reading.params,
      as_trained(job.settings.config.mask, decoder.trained_window()), {},
      job.kept_blocks());
  trained.calibration = reading.calibration;
  trained.finishing = {};
  ThreadPool executor(options.threads);
  const Index width = reading.head.output_width(decoder.width());
  const bool finished = options.device == "cuda" ? run_job_on_gpu(trained, width, job, executor)
                                                 : run_job(trained, width, job, text_maker(job), executor);
  reading.params = trained.params;
  job.settings.adapter = trained.adapter;
  return finished;
}

}  // namespace embedpool::program
