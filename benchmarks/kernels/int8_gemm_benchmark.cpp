#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "embedpool/kernels/int8/int8_gemm.hpp"
#include "support/byte_peak.hpp"
#include "support/peak.hpp"

/// How much faster is C = A W^T in integers of 8 bits than in floats, for the shapes of SmolLM2-135M and one large one
/// and weights in their storage format? Quantising A is part of the time. "of_peak" is the share of the peak of byte
/// products (of float multiply-adds for `floats`) that was measured in the same process with as many threads. The float
/// factors of blocks of 32 allow the integer kernel at most 80 % of it with one multiplication and one multiply-add for
/// each eight dots of four, and 73 % with the offsets of Q4_1, where the same units do both, as in Zen 4.
namespace {

using namespace embedpool;

struct Problem {
  AlignedBuffer<float> a, c;
  std::vector<std::byte> blocks, others;
  WeightView view, other;
  Index rows, columns, depth;

  Problem(const benchmark::State& state, Format format)
      : rows(state.range(0)), columns(state.range(1)), depth(state.range(2)) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    a.reserve(rows * depth);
    c.reserve(rows * columns);
    for (Index i = 0; i < rows * depth; ++i) a.data()[i] = normal(generator);
    blocks.resize(static_cast<std::size_t>(columns * depth / info(format).block_values * info(format).block_bytes));
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(generator() & 0x37u);  // factors are small and finite
    others = blocks;
    view = {blocks.data(), format, columns, depth};
    other = {others.data(), format, columns, depth};
  }
  Rows<const float> rows_a() const { return {a.data(), rows, depth}; }
  Rows<float> rows_c() const { return {c.data(), rows, columns}; }
};

/// Each product is timed alone and the fastest counts: the machine's noise only ever adds time.
template <class Work>
void run(benchmark::State& state, const Problem& problem, double products, double peak, Work&& work) {
  const double operations = products * 2.0 * static_cast<double>(problem.rows * problem.columns * problem.depth);
  double best = 1e9;
  for (auto _ : state) {
    const double time = bench::seconds(work);
    best = std::min(best, time);
    state.SetIterationTime(time);
  }
  state.counters["GOP/s"] = operations / best * 1e-9;
  state.counters["of_peak"] = operations / best / peak;
}

enum class Kind { floats, integers };

double peak_with(Kind kind, Index threads) {
  static double peaks[2][65] = {};
  double& peak = peaks[static_cast<int>(kind)][threads];
  if (peak == 0.0) {
    OpenMPExecutor executor(threads);
    peak = kind == Kind::floats ? bench::peak_flops<float>(executor) : bench::peak_byte_products(executor);
  }
  return peak;
}

void product(benchmark::State& state, Kind kind, Format format) {
  const Problem problem(state, format);
  OpenMPExecutor executor(state.range(3));
  run(state, problem, 1.0, peak_with(kind, state.range(3)), [&] {
    if (kind == Kind::floats)
      gemm_nt(problem.rows_a(), problem.view, StoreTo<float>{problem.rows_c()}, executor);
    else
      int8_gemm_nt(problem.rows_a(), problem.view, StoreTo<float>{problem.rows_c()}, executor);
  });
}

void gated(benchmark::State& state, Kind kind, Format format) {
  const Problem problem(state, format);
  OpenMPExecutor executor(state.range(3));
  run(state, problem, 2.0, peak_with(kind, state.range(3)), [&] {
    if (kind == Kind::floats)
      gemm_nt_gated<Silu>(problem.rows_a(), problem.view, problem.other, problem.rows_c(), executor);
    else
      int8_gemm_nt_gated<Silu>(problem.rows_a(), problem.view, problem.other, problem.rows_c(), executor);
  });
}

void quantisation(benchmark::State& state) {
  const Index rows = state.range(0), depth = state.range(1);
  const std::vector<float> a(static_cast<std::size_t>(rows * depth), 0.5f);
  SerialExecutor executor;
  QuantizedRows quantized;
  for (auto _ : state) quantized.assign(Rows<const float>(a.data(), rows, depth), executor);
  state.SetItemsProcessed(state.iterations() * rows * depth);
}

using Sizes = std::vector<std::pair<Index, Index>>;

void arguments(benchmark::internal::Benchmark* benchmark, const Sizes& sizes) {
  benchmark->ArgNames({"M", "N", "K", "threads"})->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.05);
  for (const Index threads : {1, 2})
    for (const auto& [columns, depth] : sizes)
      for (const Index rows : {16, 32, 128, 512}) benchmark->Args({rows, columns, depth, threads});
}
void shapes(benchmark::internal::Benchmark* benchmark) {
  arguments(benchmark, {{960, 576}, {576, 576}, {576, 1536}, {4096, 4096}});
}
void gated_shapes(benchmark::internal::Benchmark* benchmark) { arguments(benchmark, {{1536, 576}}); }

BENCHMARK_CAPTURE(product, floats_q4_1, Kind::floats, Format::Q4_1)->Apply(shapes);
BENCHMARK_CAPTURE(product, integers_q4_1, Kind::integers, Format::Q4_1)->Apply(shapes);
BENCHMARK_CAPTURE(product, integers_q4_0, Kind::integers, Format::Q4_0)->Apply(shapes);
BENCHMARK_CAPTURE(product, floats_q8_0, Kind::floats, Format::Q8_0)->Apply(shapes);
BENCHMARK_CAPTURE(product, integers_q8_0, Kind::integers, Format::Q8_0)->Apply(shapes);
BENCHMARK_CAPTURE(gated, floats_q4_1, Kind::floats, Format::Q4_1)->Apply(gated_shapes);
BENCHMARK_CAPTURE(gated, integers_q4_1, Kind::integers, Format::Q4_1)->Apply(gated_shapes);
BENCHMARK(quantisation)->ArgNames({"M", "K"})->ArgsProduct({{16, 512}, {576, 1536}});

}  // namespace
