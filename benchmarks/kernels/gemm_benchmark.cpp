#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <random>
#include <vector>

#include "embedpool/core/matrix.hpp"
#include "embedpool/kernels/gemm.hpp"
#include "support/peak.hpp"
#ifdef EMBEDPOOL_ONEDNN
#include "support/onednn_gemm.hpp"
#endif

/// How near does C = A W^T come to the machine's peak for the shapes of SmolLM2-135M and one large one, decoding W from
/// its storage format in every product or packed once? And C = A W, the way back? Beside them products on decoded weights
/// by Eigen, and by oneDNN where it is installed. "of peak" is the share of the multiply-add peak that was measured in the same process with as many
/// threads.
namespace {

using namespace embedpool;

constexpr int format_f32 = 0, format_q4_1 = 1;

struct Problem {
  AlignedBuffer<float> a, c;
  std::vector<float> w;
  std::vector<std::byte> blocks;
  WeightView view;
  Index rows, columns, depth;

  Problem(const benchmark::State& state, int format)
      : rows(state.range(0)), columns(state.range(1)), depth(state.range(2)) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    w.resize(static_cast<std::size_t>(columns * depth));
    a.reserve(rows * std::max(columns, depth));
    c.reserve(rows * std::max(columns, depth));
    for (Index i = 0; i < rows * std::max(columns, depth); ++i) a.data()[i] = normal(generator);
    for (float& x : w) x = normal(generator);
    view = {reinterpret_cast<const std::byte*>(w.data()), Format::F32, columns, depth};
    if (format == format_q4_1) {
      blocks.resize(static_cast<std::size_t>(columns * depth / 32 * 20));
      for (std::byte& byte : blocks) byte = static_cast<std::byte>(generator() & 0x37u);
      view = {blocks.data(), Format::Q4_1, columns, depth};
    }
  }
};

double peak_with(Index threads) {
  static double peaks[65] = {};
  double& peak = peaks[threads];
  if (peak == 0.0) {
    OpenMPExecutor executor(threads);
    peak = bench::peak_flops<float>(executor);
  }
  return peak;
}

/// Each product is timed alone and the fastest counts: the machine's noise only ever adds time.
template <class Work>
void run(benchmark::State& state, const Problem& problem, Index threads, Work&& work) {
  const double operations = 2.0 * static_cast<double>(problem.rows * problem.columns * problem.depth);
  double best = 1e9;
  for (auto _ : state) {
    const double time = bench::seconds(work);
    best = std::min(best, time);
    state.SetIterationTime(time);
  }
  state.counters["GFLOP/s"] = operations / best * 1e-9;
  state.counters["of_peak"] = operations / best / peak_with(threads);
}

void embedpool_gemm(benchmark::State& state, int format) {
  Problem problem(state, format);
  OpenMPExecutor executor(state.range(3));
  run(state, problem, state.range(3), [&] {
    gemm_nt(Rows<const float>(problem.a.data(), problem.rows, problem.depth), problem.view,
            StoreTo<float>{Rows<float>(problem.c.data(), problem.rows, problem.columns)}, executor);
  });
}

void embedpool_packed(benchmark::State& state, int format) {
  Problem problem(state, format);
  OpenMPExecutor executor(state.range(3));
  const PackedWeight<float> packed(problem.view, executor);
  run(state, problem, state.range(3), [&] {
    gemm_nt(Rows<const float>(problem.a.data(), problem.rows, problem.depth), packed,
            StoreTo<float>{Rows<float>(problem.c.data(), problem.rows, problem.columns)}, executor);
  });
}

void embedpool_backward(benchmark::State& state, int format) {
  Problem problem(state, format);
  OpenMPExecutor executor(state.range(3));
  run(state, problem, state.range(3), [&] {
    gemm_nn(Rows<const float>(problem.a.data(), problem.rows, problem.columns), problem.view,
            StoreTo<float>{Rows<float>(problem.c.data(), problem.rows, problem.depth)}, executor);
  });
}

void eigen_gemm(benchmark::State& state) {
  Problem problem(state, format_f32);
  Eigen::setNbThreads(static_cast<int>(state.range(3)));
  using Map = Eigen::Map<Matrix<float>>;
  Map a(problem.a.data(), problem.rows, problem.depth), w(problem.w.data(), problem.columns, problem.depth),
      c(problem.c.data(), problem.rows, problem.columns);
  run(state, problem, state.range(3), [&] { c.noalias() = a * w.transpose(); });
}

#ifdef EMBEDPOOL_ONEDNN
void onednn_gemm(benchmark::State& state, bool prepacked) {
  Problem problem(state, format_f32);
  omp_set_num_threads(static_cast<int>(state.range(3)));
  bench::OneDnnGemm product(problem.rows, problem.columns, problem.depth, problem.a.data(), problem.w.data(),
                            problem.c.data(), prepacked);
  run(state, problem, state.range(3), [&] { product(); });
}
#endif

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"M", "N", "K", "threads"})->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.05);
  const std::pair<Index, Index> sizes[] = {{960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {4096, 4096}};
  for (const Index threads : {1, 2})
    for (const auto& [columns, depth] : sizes)
      for (const Index rows : {32, 128, 512}) benchmark->Args({rows, columns, depth, threads});
}

BENCHMARK_CAPTURE(embedpool_gemm, f32, format_f32)->Apply(shapes);
BENCHMARK_CAPTURE(embedpool_gemm, q4_1, format_q4_1)->Apply(shapes);
BENCHMARK_CAPTURE(embedpool_packed, f32, format_f32)->Apply(shapes);
BENCHMARK_CAPTURE(embedpool_backward, f32, format_f32)->Apply(shapes);
BENCHMARK_CAPTURE(embedpool_backward, q4_1, format_q4_1)->Apply(shapes);
BENCHMARK(eigen_gemm)->Apply(shapes);
#ifdef EMBEDPOOL_ONEDNN
BENCHMARK_CAPTURE(onednn_gemm, plain, false)->Apply(shapes);
BENCHMARK_CAPTURE(onednn_gemm, prepacked, true)->Apply(shapes);
#endif

}  // namespace
