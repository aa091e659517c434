// What does a step of LoRA training cost on SmolLM2-135M, in time and in memory?
//
// 16 triplets of texts of about 30 tokens, mean pooling, InfoNCE, r = 16 on all seven maps, one step an iteration: with
// everything kept, with blocks computed again, with dropout, through a gradient cache, with the weights decoded to f32;
// and r = 1, whose passes are the same but for the pairs themselves. Beside each its own forward pass of inference.
// Weights: the file that EMBEDPOOL_SMOLLM2_GGUF names, else random ones in its format. Needed operations: those of the
// frozen forward pass, twice, for the way there and for the gradients of inputs on the way back.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <memory>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/model/new_lora_adapter.hpp"
#include "embedpool/pooling/aliases.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/trainer.hpp"
#include "support/fastest.hpp"
#include "support/smollm2.hpp"

using namespace embedpool;

namespace {

struct Variant {
  const char* name;
  Index rank = 16;
  Index kept_blocks = DecoderTraining<float>::every_block;
  double dropout = 0;
  Index chunk = 0;
  bool decoded = false;
};

constexpr Index triplets = 16;

ContrastiveTexts<TrainingText> batch_of(const Batch& packed) {
  ContrastiveTexts<TrainingText> batch;
  batch.queries = triplets;
  const Segments& segments = packed.segments();
  for (Index b = 0; b < segments.size(); ++b) {
    const auto ids = packed.ids().subspan(static_cast<std::size_t>(segments.offset(b)),
                                          static_cast<std::size_t>(segments.shape(b).tokens));
    batch.texts.push_back({{ids.begin(), ids.end()}, segments.shape(b)});
  }
  return batch;
}

void step(benchmark::State& state, const Variant& variant, const Decoder<float>& stored, Index threads) {
  const Decoder<float> decoder = variant.decoded ? DecoderParameters<float>(stored).decoder() : stored;
  LoraOptions options;
  options.rank = variant.rank;
  TrainedEmbedder<float, Causal, MeanPooling> model(decoder, new_lora_adapter<float>(decoder.config(), options), MeanPooling{},
                                                    {}, Causal{}, {}, variant.kept_blocks);
  TrainingSettings settings;
  settings.schedule.decay = Schedule::Decay::constant;
  settings.dropout = variant.dropout;
  settings.chunk = variant.chunk;
  Trainer trainer(model, InfoNCE{}, settings);
  const Batch packed = bench::random_batch(bench::random_lengths(3 * triplets, 20, 40));
  const auto batch = batch_of(packed);
  ThreadPool executor(threads);

  const double seconds = bench::fastest(state, [&] { trainer.step(batch, executor); });
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);  // of the process so far: measure one variant at a time with --benchmark_filter
  DecoderWorkspace<float> workspace;
  const bench::LastLayerSink sink{decoder.layers()};
  double forward = 1e9;
  for (int run = 0; run < 3; ++run)
    forward = std::min(forward, bench::seconds([&] { decoder.forward(packed, Causal{}, sink, workspace, executor); }));
  const double needed = 2 * bench::causal_operations(decoder.config(), packed.segments());
  state.counters["tokens/s"] = static_cast<double>(packed.segments().rows()) / seconds;
  state.counters["share_of_f32_peak_%"] = 100 * needed / seconds / bench::peak_flops<float>(executor);
  state.counters["over_forward"] = seconds / forward;
  state.counters["peak_MB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

const bool registered = [] {
  const auto decoder = std::make_shared<const Decoder<float>>(bench::smollm2());
  const Index cores = ThreadPool().workers();
  static const Variant variants[] = {{"blocks computed again", 16, 0},
                                     {"gradient cache of 12", 16, DecoderTraining<float>::every_block, 0, 12},
                                     {"half of the blocks kept", 16, 15},
                                     {"everything kept", 16},
                                     {"rank 1", 1},
                                     {"dropout", 16, DecoderTraining<float>::every_block, 0.1},
                                     {"weights in f32", 16, DecoderTraining<float>::every_block, 0, 0, true}};
  for (const Variant& variant : variants)
    benchmark::RegisterBenchmark((std::string(variant.name) + "/threads:" + std::to_string(cores)).c_str(),
                                 [decoder, &variant, cores](benchmark::State& state) { step(state, variant, *decoder, cores); })
        ->UseManualTime()->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
