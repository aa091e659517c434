#include <vector>

#include "embedpool/kernels/activation.hpp"
#include "embedpool/kernels/norm.hpp"
#include "embedpool/kernels/rotary.hpp"
#include "embedpool/kernels/softmax.hpp"
#include "support/fastest.hpp"
#include "support/memory_rate.hpp"
#include "support/random_buffer.hpp"

/// How near do the row-by-row kernels come to copying their rows? Each reads every value once and writes it once at
/// least; "of_copy" is its rate over that of memcpy on as many bytes, measured in the same process. Beside each the
/// plain loop that defines it. One thread, rows of SmolLM2-135M: width 576, 9 heads of 64, feed-forward 1536.
namespace {

using namespace embedpool;

double copy_rate_of(Index count) {
  static std::vector<std::pair<Index, double>> known;
  for (const auto& [size, rate] : known)
    if (size == count) return rate;
  return known.emplace_back(count, bench::copy_rate(count)).second;
}

/// Times `row(x, out)` over all rows of a [rows, width] matrix.
template <class Row>
void measure(benchmark::State& state, const Row& row) {
  const Index rows = state.range(0), width = state.range(1);
  const AlignedBuffer<float> x = bench::random_buffer(rows * width), out = bench::random_buffer(rows * width);
  const double time = bench::fastest(state, [&] {
    for (Index i = 0; i < rows; ++i)
      row(std::span<float>(x.data() + i * width, static_cast<std::size_t>(width)), out.data() + i * width, i);
    benchmark::ClobberMemory();
  });
  const double rate = 2.0 * static_cast<double>(rows * width) * sizeof(float) / time;
  state.counters["GB/s"] = rate * 1e-9;
  state.counters["of_copy"] = rate / copy_rate_of(rows * width);
}

template <bool plain>
void rms_norm_rows(benchmark::State& state) {
  const AlignedBuffer<float> gain = bench::random_buffer(state.range(1), 2);
  measure(state, [&](std::span<const float> x, float* out, Index) {
    if constexpr (plain)
      scalar::rms_norm_row(x, gain.data(), 1e-5f, out);
    else
      simd::rms_norm_row(x, gain.data(), 1e-5f, out);
  });
}

template <bool plain>
void layer_norm_rows(benchmark::State& state) {
  const AlignedBuffer<float> gain = bench::random_buffer(state.range(1), 2),
                             bias = bench::random_buffer(state.range(1), 3);
  measure(state, [&](std::span<const float> x, float* out, Index) {
    if constexpr (plain)
      scalar::layer_norm_row(x, gain.data(), bias.data(), 1e-12f, out);
    else
      simd::layer_norm_row(x, gain.data(), bias.data(), 1e-12f, out);
  });
}

/// In place: from the second round on of what the first one left, numbers between 0 and 1.
template <bool plain>
void softmax_rows(benchmark::State& state) {
  measure(state, [](std::span<float> x, float*, Index) {
    if constexpr (plain)
      scalar::softmax(x);
    else
      simd::softmax(x);
  });
}

template <bool plain, RotaryStyle style>
void rotary_rows(benchmark::State& state) {
  constexpr Index head_dim = 64;
  std::vector<double> frequencies;
  for (Index i = 0; i < head_dim / 2; ++i)
    frequencies.push_back(std::pow(1e4, -2.0 * static_cast<double>(i) / head_dim));
  const RotaryTable<float> table(frequencies, state.range(0));
  measure(state, [&](std::span<float> x, float*, Index position) {
    const Index heads = static_cast<Index>(x.size()) / head_dim;
    if constexpr (plain)
      scalar::rotate_row(x.data(), heads, position, table, style);
    else
      simd::rotate_row(x.data(), heads, position, table, style);
  });
}

template <class Activation, bool plain>
void activation_rows(benchmark::State& state) {
  measure(state, [](std::span<const float> x, float* out, Index) {
    if constexpr (plain) {
      for (std::size_t i = 0; i < x.size(); ++i) out[i] = Activation::value(x[i]);
    } else {  // the widths here are multiples of every register's
      for (std::size_t i = 0; i < x.size(); i += simd::Vector<float>::size)
        Activation::value(simd::Vector<float>::load_aligned(&x[i])).store_aligned(out + i);
    }
  });
}

void rows_of(benchmark::internal::Benchmark* benchmark, Index width) {
  benchmark->ArgNames({"rows", "width"})->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.05);
  for (const Index rows : {16, 512}) benchmark->Args({rows, width});
}
void width(benchmark::internal::Benchmark* benchmark) { rows_of(benchmark, 576); }
void scores(benchmark::internal::Benchmark* benchmark) { rows_of(benchmark, 512); }
void feed_forward(benchmark::internal::Benchmark* benchmark) { rows_of(benchmark, 1536); }

BENCHMARK_TEMPLATE(rms_norm_rows, false)->Name("rms_norm")->Apply(width);
BENCHMARK_TEMPLATE(rms_norm_rows, true)->Name("rms_norm/plain loop")->Apply(width);
BENCHMARK_TEMPLATE(layer_norm_rows, false)->Name("layer_norm")->Apply(width);
BENCHMARK_TEMPLATE(layer_norm_rows, true)->Name("layer_norm/plain loop")->Apply(width);
BENCHMARK_TEMPLATE(softmax_rows, false)->Name("softmax")->Apply(scores);
BENCHMARK_TEMPLATE(softmax_rows, true)->Name("softmax/plain loop")->Apply(scores);
BENCHMARK_TEMPLATE(rotary_rows, false, RotaryStyle::halves)->Name("rotary halves")->Apply(width);
BENCHMARK_TEMPLATE(rotary_rows, true, RotaryStyle::halves)->Name("rotary halves/plain loop")->Apply(width);
BENCHMARK_TEMPLATE(rotary_rows, false, RotaryStyle::interleaved)->Name("rotary interleaved")->Apply(width);
BENCHMARK_TEMPLATE(rotary_rows, true, RotaryStyle::interleaved)->Name("rotary interleaved/plain loop")->Apply(width);
BENCHMARK_TEMPLATE(activation_rows, Silu, false)->Name("silu")->Apply(feed_forward);
BENCHMARK_TEMPLATE(activation_rows, Silu, true)->Name("silu/plain loop")->Apply(feed_forward);
BENCHMARK_TEMPLATE(activation_rows, GeluTanh, false)->Name("gelu_tanh")->Apply(feed_forward);
BENCHMARK_TEMPLATE(activation_rows, GeluTanh, true)->Name("gelu_tanh/plain loop")->Apply(feed_forward);
BENCHMARK_TEMPLATE(activation_rows, GeluErf, false)->Name("gelu_erf")->Apply(feed_forward);
BENCHMARK_TEMPLATE(activation_rows, GeluErf, true)->Name("gelu_erf/plain loop")->Apply(feed_forward);

}  // namespace
