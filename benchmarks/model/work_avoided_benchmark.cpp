// Does work that need not be done cost nothing? Each case runs with and without the saving, in turn, and compares the time
// saved with the operations saved.
//
//   last token's row      the last block computes keys and values of all tokens, and the rest for one token of each text
//   shared prompt         20 tokens in front of 32 texts of 12: computed once under a causal mask
//   the same in training  4 tokens in front of 32 texts of 24, LoRA of rank 16, a step forward and back
//   every layer's mean    what pooling all 30 layers adds to the forward pass that makes them (time, and B L D values)
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/model/embedder.hpp"
#include "embedpool/model/new_lora_adapter.hpp"
#include "embedpool/pooling.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "embedpool/train/trainer.hpp"
#include "support/peak.hpp"
#include "support/smollm2.hpp"
#include "support/training_texts.hpp"

using namespace embedpool;

namespace {

const Decoder<float>& decoder() {
  static const Decoder<float> model = bench::smollm2();
  return model;
}

/// Runs both in turn; counters: time of `less` as a share of that of `more`, from the medians.
template <class More, class Less>
double compare(benchmark::State& state, const More& more, const Less& less) {
  more(), less();
  std::vector<double> ratios;
  for (auto _ : state) {
    const double long_time = bench::seconds(more), short_time = bench::seconds(less);
    ratios.push_back(short_time / long_time);
    state.SetIterationTime(short_time);
  }
  std::nth_element(ratios.begin(), ratios.begin() + static_cast<Index>(ratios.size()) / 2, ratios.end());
  return ratios[ratios.size() / 2];
}

void report(benchmark::State& state, double ratio, double counted) {
  state.counters["saved_%"] = 100 * (1 - ratio);
  state.counters["counted_%"] = 100 * (1 - counted);
}

void last_token(benchmark::State& state) {
  const Batch batch = bench::random_batch(std::vector<Index>(8, 64));
  ThreadPool executor(state.range(0));
  DecoderWorkspace<float> workspace;
  const auto run = [&](bool last) {
    decoder().forward(batch, Causal{}, bench::LastLayerSink{decoder().layers(), last}, workspace, executor);
  };
  const double ratio = compare(state, [&] { run(false); }, [&] { run(true); });
  const DecoderConfig& c = decoder().config();
  const double texts = 8, tokens = 64;
  // Of the last block remain keys and values of every token, and the rest of one token of each text.
  const double kept = texts * (2 * 2 * tokens * static_cast<double>(c.width * c.kv_width()) +
                               (bench::linear_operations(c) - 4 * static_cast<double>(c.width * c.kv_width())) +
                               4 * tokens * static_cast<double>(c.query_width()));
  const double whole = bench::causal_operations(c, batch.segments());
  report(state, ratio, (whole * static_cast<double>(c.layers - 1) / static_cast<double>(c.layers) + kept) / whole);
}

/// What of the operations is left when `prompt` tokens of `own` more are computed once for all texts.
double counted_with_prompt_shared(Index texts, Index prompt, Index own) {
  const DecoderConfig& c = decoder().config();
  const double not_computed = static_cast<double>(c.layers * (texts - 1)) *
                              (bench::linear_operations(c) * static_cast<double>(prompt) +
                               4 * static_cast<double>(c.query_width()) * static_cast<double>(prompt * (prompt + 1)) / 2);
  const std::vector<Index> lengths(static_cast<std::size_t>(texts), prompt + own);
  const double whole = bench::causal_operations(c, bench::random_batch(lengths).segments());
  return (whole - not_computed) / whole;
}

void shared_prompt(benchmark::State& state) {
  constexpr Index texts = 32, prompt = 20, own = 12;
  const Batch shared = bench::random_batch(std::vector<Index>(texts, own), prompt);
  const Batch apart = bench::random_batch(std::vector<Index>(texts, prompt + own));  // nothing is equal
  ThreadPool executor(state.range(0));
  DecoderWorkspace<float> workspace;
  const auto run = [&](const Batch& batch) {
    decoder().forward(batch, Causal{}, bench::LastLayerSink{decoder().layers()}, workspace, executor);
  };
  const double ratio = compare(state, [&] { run(apart); }, [&] { run(shared); });
  report(state, ratio, counted_with_prompt_shared(texts, prompt, own));
}

void shared_prompt_in_training(benchmark::State& state) {
  constexpr Index texts = 32, prompt = 4, own = 24;
  const auto shared = bench::training_texts(bench::random_batch(std::vector<Index>(texts, own), prompt), texts / 2);
  const auto apart = bench::training_texts(bench::random_batch(std::vector<Index>(texts, prompt + own)), texts / 2);
  ThreadPool executor(state.range(0));
  TrainedEmbedder<float, Causal, MeanPooling> model(decoder(), new_lora_adapter<float>(decoder().config(), LoraOptions{}),
                                                    MeanPooling{}, {}, Causal{}, {});
  TrainingSettings settings;
  settings.schedule.decay = Schedule::Decay::constant;
  Trainer trainer(model, InfoNCE{}, settings);
  const double ratio = compare(state, [&] { trainer.step(apart, executor); }, [&] { trainer.step(shared, executor); });
  report(state, ratio, counted_with_prompt_shared(texts, prompt, own));
}

void every_layer(benchmark::State& state) {
  const Batch batch = bench::random_batch(std::vector<Index>(32, 64));
  ThreadPool executor(state.range(0));
  DecoderWorkspace<float> workspace;
  const Embedder<Decoder<float>, Bidirectional, Pooling<LastLayer, TokenMean, Identity>> last(decoder());
  const Embedder<Decoder<float>, Bidirectional, Pooling<EveryLayer, TokenMean, LayerMean>> every(decoder());
  const double ratio = compare(state, [&] { benchmark::DoNotOptimize(last.encode(batch, workspace, executor)); },
                               [&] { benchmark::DoNotOptimize(every.encode(batch, workspace, executor)); });
  state.counters["times_last_layer"] = ratio;
}

void threads(benchmark::internal::Benchmark* run) {
  run->ArgName("threads")->Arg(1)->UseManualTime()->Unit(benchmark::kMillisecond)->MinTime(6);
  if (const Index cores = ThreadPool().workers(); cores > 1) run->Arg(cores);
}
BENCHMARK(last_token)->Apply(threads);
BENCHMARK(shared_prompt)->Apply(threads);
BENCHMARK(shared_prompt_in_training)->Apply(threads);
BENCHMARK(every_layer)->Apply(threads);

}  // namespace
