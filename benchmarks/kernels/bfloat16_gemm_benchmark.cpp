#include "embedpool/kernels/bfloat16/gemm.hpp"
#include "support/fastest.hpp"
#include "support/random_buffer.hpp"

/// What does rounding to bfloat16 win over products in float? C = A W^T for the shapes of SmolLM2-135M and one large
/// one, on one thread: rounding A in every call, decoding W in every product or packed once, beside gemm_nt in float.
/// "of_peak" is the share of the peak of the same kind of arithmetic, measured in the same process: of vdpbf16ps where
/// the machine has it, else of the plain version, which only says that nothing is lost around it.
namespace {

using namespace embedpool;

struct Problem {
  Index rows, columns, depth;
  AlignedBuffer<float> a, c;
  std::vector<std::byte> blocks;
  WeightView w;

  Problem(const benchmark::State& state, Format format)
      : rows(state.range(0)),
        columns(state.range(1)),
        depth(state.range(2)),
        a(bench::random_buffer(rows * depth)),
        c(bench::random_buffer(rows * columns)),
        blocks(static_cast<std::size_t>(columns * depth / info(format).block_values * info(format).block_bytes)) {
    std::mt19937 generator(1);
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(generator() & 0x37u);  // small, in every format
    w = {blocks.data(), format, columns, depth};
  }
  Rows<const float> input() const { return {a.data(), rows, depth}; }
  StoreTo<float> output() const { return {Rows<float>(c.data(), rows, columns)}; }
};

template <simd::Operand T>
double peak(T factor) {
  static const double measured = [&] {
    SerialExecutor executor;
    return bench::peak_flops<T>(executor, factor);
  }();
  return measured;
}

void report(benchmark::State& state, const Problem& problem, double seconds, double peak) {
  const double rate = 2.0 * static_cast<double>(problem.rows * problem.columns * problem.depth) / seconds;
  state.counters["GFLOP/s"] = rate * 1e-9;
  state.counters["of_peak"] = rate / peak;
}

constexpr Bfloat16Pair nearly_one{bf16{0x3f7f}, bf16{0x3f7f}};

void bfloat16_decoded(benchmark::State& state, Format format) {
  const Problem problem(state, format);
  SerialExecutor executor;
  const double time =
      bench::fastest(state, [&] { bfloat16_gemm_nt(problem.input(), problem.w, problem.output(), executor); });
  report(state, problem, time, peak(nearly_one));
}

void bfloat16_packed(benchmark::State& state) {
  const Problem problem(state, Format::BF16);
  SerialExecutor executor;
  const PackedWeight<Bfloat16Pair> packed(problem.w, executor);
  const double time =
      bench::fastest(state, [&] { bfloat16_gemm_nt(problem.input(), packed, problem.output(), executor); });
  report(state, problem, time, peak(nearly_one));
}

void float_decoded(benchmark::State& state, Format format) {
  const Problem problem(state, format);
  SerialExecutor executor;
  const double time = bench::fastest(state, [&] { gemm_nt(problem.input(), problem.w, problem.output(), executor); });
  report(state, problem, time, peak(0.999f));
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"M", "N", "K"})->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.05);
  for (const auto& [columns, depth] : {std::pair{960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {4096, 4096}})
    for (const int rows : {32, 128, 512}) benchmark->Args({rows, columns, depth});
}

BENCHMARK_CAPTURE(bfloat16_decoded, F32, Format::F32)->Apply(shapes);
BENCHMARK_CAPTURE(bfloat16_decoded, BF16, Format::BF16)->Apply(shapes);
BENCHMARK_CAPTURE(bfloat16_decoded, Q4_1, Format::Q4_1)->Apply(shapes);
BENCHMARK(bfloat16_packed)->Apply(shapes);
BENCHMARK_CAPTURE(float_decoded, F32, Format::F32)->Apply(shapes);
BENCHMARK_CAPTURE(float_decoded, Q4_1, Format::Q4_1)->Apply(shapes);

}  // namespace
