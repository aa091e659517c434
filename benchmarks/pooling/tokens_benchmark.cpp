#include "embedpool/pooling/aliases.hpp"
#include "embedpool/pooling/tokens/token_max.hpp"
#include "support/fastest.hpp"
#include "support/memory_rate.hpp"
#include "support/random_buffer.hpp"

/// Do readers run as fast as memory is read? Rows [N, 576] of one layer become one vector a text, in texts of 64
/// tokens; beside each reader the plain loop over tokens and dimensions, which sums in float where readers sum in
/// double. "of_read" is the rate over that of adding up as many floats in registers, measured in the same process; both
/// count the bytes that must be read. And a whole pooling of all 30 layers, a mean each, in time a layer. One thread.
namespace {

using namespace embedpool;

constexpr Index width = 576, tokens = 64;

double read_rate_of(Index count) {
  static std::vector<std::pair<Index, double>> known;
  for (const auto& [size, rate] : known)
    if (size == count) return rate;
  return known.emplace_back(count, bench::read_rate(count)).second;
}

void report(benchmark::State& state, Index floats, double seconds) {
  const double rate = static_cast<double>(floats) * sizeof(float) / seconds;
  state.counters["GB/s"] = rate * 1e-9;
  state.counters["of_read"] = rate / read_rate_of(floats);
}

/// A batch of texts of 64 tokens, and one layer of it.
struct Layer {
  Segments segments;
  AlignedBuffer<float> values;
  RowSelection all;

  explicit Layer(Index rows)
      : segments(texts_of(rows)), values(bench::random_buffer(rows * width)), all(RowSelection::all(segments)) {}
  LayerStates<float> states() const {
    return {Rows<const float>(values.data(), segments.rows(), width), &segments, &all};
  }
  static Segments texts_of(Index rows) {
    Segments segments;
    for (Index b = 0; b < rows / tokens; ++b) segments.add(TextShape::bare(tokens));
    return segments;
  }
};

template <class Tokens>
void reader(benchmark::State& state) {
  const Layer layer(state.range(0));
  const LayerStates<float> states = layer.states();
  const AlignedBuffer<float> keys = bench::random_buffer(layer.segments.size() * width);
  report(state, layer.segments.rows() * width, bench::fastest(state, [&] {
           for (Index b = 0; b < layer.segments.size(); ++b)
             Tokens{}.read(states.text(b), Rows<float>(keys.data() + b * width, 1, width));
           benchmark::ClobberMemory();
         }));
}

/// As one would write it: the first row, then row after row, `step(so_far, value, token)` for every dimension.
template <class Step>
void plain_reader(benchmark::State& state, const Step& step) {
  const Layer layer(state.range(0));
  const AlignedBuffer<float> keys = bench::random_buffer(layer.segments.size() * width);
  report(state, layer.segments.rows() * width, bench::fastest(state, [&] {
           for (Index b = 0; b < layer.segments.size(); ++b) {
             float* key = keys.data() + b * width;
             const float* text = layer.values.data() + b * tokens * width;
             for (Index j = 0; j < width; ++j) key[j] = step(0.0f, text[j], 0);
             for (Index t = 1; t < tokens; ++t)
               for (Index j = 0; j < width; ++j) key[j] = step(key[j], text[t * width + j], t);
           }
           benchmark::ClobberMemory();
         }));
}
void plain_mean(benchmark::State& state) {
  plain_reader(state, [](float sum, float x, Index) { return sum + x * (1.0f / static_cast<float>(tokens)); });
}
void plain_position_weighted_mean(benchmark::State& state) {
  constexpr float divisor = static_cast<float>(tokens * (tokens + 1) / 2);
  plain_reader(state, [](float sum, float x, Index t) { return sum + static_cast<float>(t + 1) / divisor * x; });
}
void plain_max(benchmark::State& state) {
  plain_reader(state, [](float largest, float x, Index t) { return t == 0 || x > largest ? x : largest; });
}

/// All layers through one stream: what pooling adds to a forward pass of a model of 30 layers. Every layer is the same
/// memory, as a backbone's buffer is.
void every_layer_mean(benchmark::State& state) {
  constexpr Index layers = 30;
  const Layer layer(state.range(0));
  const EveryLayerMean pooling;
  const auto params = pooling.head.init<float>(width, pooling.slots(layers));
  const double time = bench::fastest(state, [&] {
    auto stream = pooling.stream<float>(params, layer.segments, layers, width);
    for (Index k = 1; k <= layers; ++k) stream.push(k, layer.states());
    benchmark::DoNotOptimize(stream.finish().data());
  });
  report(state, layer.segments.rows() * width, time / layers);
  state.counters["us_a_layer"] = time / layers * 1e6;
}

void rows(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("N")->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.05);
  for (const Index count : {64, 512, 16384}) benchmark->Arg(count);  // in the second cache, near it, in memory
}

BENCHMARK_TEMPLATE(reader, TokenMean)->Name("mean")->Apply(rows);
BENCHMARK(plain_mean)->Name("mean/plain loop")->Apply(rows);
BENCHMARK_TEMPLATE(reader, PositionWeightedMean)->Name("position weighted mean")->Apply(rows);
BENCHMARK(plain_position_weighted_mean)->Name("position weighted mean/plain loop")->Apply(rows);
BENCHMARK_TEMPLATE(reader, TokenMax)->Name("max")->Apply(rows);
BENCHMARK(plain_max)->Name("max/plain loop")->Apply(rows);
BENCHMARK(every_layer_mean)->Name("mean of every layer")->Apply(rows);

}  // namespace
