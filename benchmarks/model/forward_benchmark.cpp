// How near does a forward pass of SmolLM2-135M come to the machine's peak?
//
// Texts of equal and of mixed lengths, as they come, through all 30 layers: in f32, bf16 and int8, on one thread and on
// all. Weights: the file that EMBEDPOOL_SMOLLM2_GGUF names, else random ones in its format. The share is operations needed
// / (time x f32 peak), whatever the arithmetic, with the peak measured between the passes, so that both see the same
// machine.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/nn/bfloat16_compute.hpp"
#include "embedpool/nn/int8_compute.hpp"
#include "embedpool/nn/packed_compute.hpp"
#include "support/peak.hpp"
#include "support/smollm2.hpp"

using namespace embedpool;

namespace {

struct Workload {
  const char* name;
  std::vector<Index> lengths;
};

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all{{"8 texts of 64", std::vector<Index>(8, 64)},
                                         {"1 text of 512", {512}},
                                         {"64 texts of 8 to 40", bench::random_lengths(64, 8, 40)},
                                         {"64 documents of 79 to 256", bench::random_lengths(64, 79, 256)},
                                         {"1 text of 16", {16}}};
  return all;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<Index>(values.size()) / 2, values.end());
  return values[values.size() / 2];
}

template <class D>
void forward(benchmark::State& state, const D& decoder, const Workload& workload, Index threads) {
  const Batch batch = bench::random_batch(workload.lengths);
  DecoderWorkspace<float> workspace;
  const bench::LastLayerSink sink{decoder.layers()};
  ThreadPool executor(threads);
  decoder.forward(batch, Causal{}, sink, workspace, executor);  // buffers and pages are warm
  std::vector<double> seconds, peaks;
  for (auto _ : state) {
    seconds.push_back(bench::seconds([&] { decoder.forward(batch, Causal{}, sink, workspace, executor); }));
    state.SetIterationTime(seconds.back());
    peaks.push_back(bench::peak_flops<float>(executor));
  }
  const double needed = bench::causal_operations(decoder.config(), batch.segments());
  state.counters["tokens/s"] = static_cast<double>(batch.segments().rows()) / median(seconds);
  state.counters["share_of_f32_peak_%"] = 100 * needed / median(seconds) / median(peaks);
  // The best of each as well: on a machine that others use too, medians measure them.
  const double fastest = *std::min_element(seconds.begin(), seconds.end());
  const double best_share = 100 * needed / fastest / *std::max_element(peaks.begin(), peaks.end());
  state.counters["best_share_%"] = best_share;
}

template <class D>
void register_model(const std::string& name, const std::shared_ptr<const D>& decoder) {
  std::vector<Index> threads{1};
  if (const Index cores = ThreadPool().workers(); cores > 1) threads.push_back(cores);
  for (const Workload& workload : workloads())
    for (const Index count : threads)
      benchmark::RegisterBenchmark((name + "/" + workload.name + "/threads:" + std::to_string(count)).c_str(),
                                   [decoder, &workload, count](benchmark::State& state) {
                                     forward(state, *decoder, workload, count);
                                   })
          ->UseManualTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
}

template <class Compute>
void register_compute(const std::string& name, const Decoder<float>& decoder, Compute compute) {
  register_model(name, std::make_shared<const Decoder<float, Compute>>(decoder.with_compute(compute)));
}

const bool registered = [] {
  const Decoder<float> decoder = bench::smollm2();
  register_compute("f32", decoder, FullPrecision{});
  ThreadPool pool;
  register_compute("f32, weights packed at load", decoder, PackedCompute<float>(decoder.weights().blocks, pool));
  register_compute("bf16", decoder, Bfloat16Compute{});
  register_compute("int8", decoder, Int8Compute{});
  return true;
}();

}  // namespace
