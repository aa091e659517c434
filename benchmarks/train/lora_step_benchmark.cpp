// What does a step of LoRA training cost on SmolLM2-135M, in time and in memory?
//
// 16 triplets of texts of about 30 tokens, mean pooling, InfoNCE, r = 16 on all seven maps, one step an iteration: with
// everything kept, with blocks computed again, with dropout, through a gradient cache, with the weights decoded to f32;
// and frozen passes, forward and back, where one pair in the lowest block is all that is trained. Then pairs of short
// texts: 64 at once, and 64, 384 and 2,048 through a gradient cache that takes 64 at a time. Beside each its own forward
// pass of inference.
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
#include "support/training_texts.hpp"

using namespace embedpool;

namespace {

struct Variant {
  const char* name;
  Index rank = 16;
  Index kept_blocks = DecoderTraining<float>::every_block;
  double dropout = 0;
  Index chunk = 0;
  bool decoded = false;
  bool frozen = false;
  Index queries = 16, texts = 48, shortest = 20, longest = 40;
  int steps = 4;  // as many as a peer is given in peers/training.py; the fastest counts
};

void step(benchmark::State& state, const Variant& variant, const Decoder<float>& stored, Index threads) {
  const Decoder<float> decoder = variant.decoded ? DecoderParameters<float>(stored).decoder() : stored;
  LoraOptions options;
  options.rank = variant.rank;
  auto adapter = new_lora_adapter<float>(decoder.config(), options);
  if (variant.frozen) adapter.entries.resize(1);
  TrainedEmbedder<float, Causal, MeanPooling> model(decoder, std::move(adapter), MeanPooling{}, {}, Causal{}, {},
                                                    variant.kept_blocks);
  TrainingSettings settings;
  settings.schedule.decay = Schedule::Decay::constant;
  settings.dropout = variant.dropout;
  settings.chunk = variant.chunk;
  Trainer trainer(model, InfoNCE{}, settings);
  const Batch packed = bench::random_batch(bench::random_lengths(variant.texts, variant.shortest, variant.longest));
  const auto batch = bench::training_texts(packed, variant.queries);
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
  state.counters["ms_a_text"] = 1e3 * seconds / static_cast<double>(variant.texts);
  state.counters["peak_MB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

const bool registered = [] {
  const auto decoder = std::make_shared<const Decoder<float>>(bench::smollm2());
  const Index cores = ThreadPool().workers();
  const auto pairs = [](const char* name, Index queries, Index chunk) {
    return Variant{.name = name, .chunk = chunk, .queries = queries, .texts = 2 * queries, .shortest = 4, .longest = 12,
                   .steps = queries > 1000 ? 1 : 4};  // minutes each
  };
  static const Variant variants[] = {{.name = "blocks computed again", .kept_blocks = 0},
                                     {.name = "gradient cache of 12", .chunk = 12},
                                     {.name = "half of the blocks kept", .kept_blocks = 15},
                                     {.name = "everything kept"},
                                     {.name = "frozen passes", .frozen = true},
                                     {.name = "dropout", .dropout = 0.1},
                                     {.name = "weights in f32", .decoded = true},
                                     pairs("64 pairs", 64, 0),
                                     pairs("64 pairs through a cache", 64, 128),
                                     pairs("384 pairs through a cache", 384, 128),
                                     pairs("2048 pairs through a cache", 2048, 128)};
  for (const Variant& variant : variants)
    benchmark::RegisterBenchmark((std::string(variant.name) + "/threads:" + std::to_string(cores)).c_str(),
                                 [decoder, &variant, cores](benchmark::State& state) { step(state, variant, *decoder, cores); })
        ->Iterations(variant.steps)->UseManualTime()->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
