// How near does a forward pass of a SmolLM2-135M come to the machine's peak?
//
// 8 texts of 64 tokens and one of 512 through all 30 layers, on one thread and on all. Weights: random in F32 and Q4_1,
// and the real file where EMBEDPOOL_SMOLLM2_GGUF names it. The share is operations needed / (time x f32 peak), with the
// peak measured between the passes, so that both see the same machine.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "embedpool/io/load_decoder.hpp"
#include "embedpool/model/rotary_scaling.hpp"
#include "support/peak.hpp"

using namespace embedpool;

namespace {

DecoderConfig smollm2_config() {
  DecoderConfig config;
  config.width = 576;
  config.layers = 30;
  config.heads = 9;
  config.kv_heads = 3;
  config.head_dim = 64;
  config.feed_forward_width = 1536;
  config.vocabulary = 49152;
  config.inverse_frequencies = rotary_frequencies(100000, config.head_dim);
  return config;
}

/// A matrix of random values of deviation 1 / sqrt(cols), as floats or as blocks of f16 scale, f16 minimum, 32 nibbles.
WeightView random_matrix(Format format, Index rows, Index cols, std::mt19937& generator,
                         std::vector<std::shared_ptr<const void>>& owners) {
  auto bytes = std::make_shared<std::vector<std::byte>>(
      static_cast<std::size_t>(rows * cols / info(format).block_values * info(format).block_bytes));
  const float deviation = 1.0f / std::sqrt(static_cast<float>(cols));
  if (format == Format::F32) {
    std::normal_distribution<float> normal(0, deviation);
    auto* values = reinterpret_cast<float*>(bytes->data());
    for (Index i = 0; i < rows * cols; ++i) values[i] = normal(generator);
  } else {
    const f16 scale = to_f16(deviation / 4.6f), minimum = to_f16(-7.5f * deviation / 4.6f);  // 16 equal steps
    for (std::size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = static_cast<std::byte>(generator());
    for (std::size_t i = 0; i < bytes->size(); i += 20) {
      std::memcpy(bytes->data() + i, &scale, 2);
      std::memcpy(bytes->data() + i + 2, &minimum, 2);
    }
  }
  owners.push_back(bytes);
  return {bytes->data(), format, rows, cols};
}

Decoder<float> random_smollm2(Format format) {
  const DecoderConfig config = smollm2_config();
  std::mt19937 generator(1);
  DecoderWeights<float> weights;
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& target) {
    const DecoderTensorShape shape = tensor_shape(place.kind, config);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(target)>, WeightView>)
      target = random_matrix(format, shape.rows, shape.cols, generator, weights.keep_alive);
    else
      target.assign(static_cast<std::size_t>(shape.cols), 1.0f);
  });
  return {config, std::move(weights)};
}

/// Takes the last layer, or only the last token's row of it.
struct LastLayerSink {
  Index layers;
  bool last_token;
  Index last_layer() const noexcept { return layers; }
  bool wants(Index layer) const noexcept { return layer == layers; }
  Interval reads(const TextShape& shape) const noexcept { return {last_token ? shape.tokens - 1 : 0, shape.tokens}; }
  void push(Index, const LayerStates<float>& states) const { benchmark::DoNotOptimize(states.buffer.data); }
};

/// Multiply-adds count two. Only what has to be computed: pairs that the causal mask lets through, all rows of all layers.
double operations(const DecoderConfig& c, const Segments& segments) {
  const double linear = static_cast<double>(2 * c.width * (c.query_width() + c.kv_width()) + 3 * c.width * c.feed_forward_width);
  double pairs = 0;
  for (Index b = 0; b < segments.size(); ++b) {
    const auto tokens = static_cast<double>(segments.shape(b).tokens);
    pairs += tokens * (tokens + 1) / 2;
  }
  return static_cast<double>(c.layers) *
         (2 * linear * static_cast<double>(segments.rows()) + 4 * pairs * static_cast<double>(c.query_width()));
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<Index>(values.size()) / 2, values.end());
  return values[values.size() / 2];
}

void forward(benchmark::State& state, const Decoder<float>& decoder, bool last_token) {
  const Index texts = state.range(0), tokens = state.range(1);
  [[maybe_unused]] const Index threads = state.range(2);
  std::mt19937 generator(2);
  std::uniform_int_distribution<TokenId> id(0, static_cast<TokenId>(decoder.config().vocabulary - 1));
  Batch batch;
  for (Index b = 0; b < texts; ++b) {
    std::vector<TokenId> ids(static_cast<std::size_t>(tokens));
    for (TokenId& token : ids) token = id(generator);
    batch.add(ids);
  }
  DecoderWorkspace<float> workspace;
  LastLayerSink sink{decoder.layers(), last_token};
#ifdef _OPENMP
  OpenMPExecutor executor(threads);
#else
  SerialExecutor executor;
#endif
  decoder.forward(batch, Causal{}, sink, workspace, executor);  // buffers and pages are warm
  std::vector<double> seconds, peaks;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    decoder.forward(batch, Causal{}, sink, workspace, executor);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    state.SetIterationTime(seconds.back());
    peaks.push_back(bench::peak_flops<float>(executor));
  }
  const double needed = operations(decoder.config(), batch.segments());
  state.counters["tokens/s"] = static_cast<double>(texts * tokens) / median(seconds);
  if (last_token) return;  // the operations counted are those of every row
  state.counters["GFLOP/s"] = needed / median(seconds) / 1e9;
  // The best of each as well: on a machine that others use too, medians measure them.
  const double fastest = *std::min_element(seconds.begin(), seconds.end());
  state.counters["share_of_peak_%"] = 100 * needed / median(seconds) / median(peaks);
  const double best_share = 100 * needed / fastest / *std::max_element(peaks.begin(), peaks.end());
  state.counters["best_share_%"] = best_share;
  if (best_share > 100) state.SetLabel("other processes took the cores while the peak was measured: run again");
}

void register_model(const std::string& name, std::shared_ptr<const Decoder<float>> decoder) {
  const auto cores = static_cast<std::int64_t>(DefaultExecutor{}.workers());
  for (const bool last_token : {false, true}) {
    auto* run = benchmark::RegisterBenchmark((name + (last_token ? "/last token's row" : "/every row")).c_str(),
                                             [decoder, last_token](benchmark::State& state) { forward(state, *decoder, last_token); });
    run->ArgNames({"texts", "tokens", "threads"})->UseManualTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
    for (std::int64_t threads = 1; threads <= cores; threads = threads == cores ? cores + 1 : cores) {
      run->Args({8, 64, threads});
      if (!last_token) run->Args({1, 512, threads});
    }
  }
}

const bool registered = [] {
  register_model("random F32", std::make_shared<Decoder<float>>(random_smollm2(Format::F32)));
  register_model("random Q4_1", std::make_shared<Decoder<float>>(random_smollm2(Format::Q4_1)));
  if (const char* path = std::getenv("EMBEDPOOL_SMOLLM2_GGUF"); path != nullptr && *path != 0)
    register_model("SmolLM2 Q4_1 file", std::make_shared<Decoder<float>>(io::load_decoder(std::filesystem::path(path))));
  return true;
}();

}  // namespace
