#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <map>
#include <vector>

#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "support/peak.hpp"

/// How near do the Perceiver head's passes over a batch come to the machine's peak, counted on the best order of
/// products, and how much do they save against the order of the definition? "of_peak" counts the best order's
/// multiply-adds (for forward and backward three times those of forward), "of_peak_plain" what the plain order has to
/// do. The plain order is Eigen's: queries projected for every text, keys and values through their projections, each
/// text by itself. The full size takes 1 GB for its parameters and more for gradients: choose with --benchmark_filter.
namespace {

using namespace embedpool;

struct Size {
  Index width, latents, heads, head_dim, keys;
};
constexpr Size small{576, 64, 8, 64, 30}, full{896, 768, 32, 2048, 24};

struct Problem {
  PerceiverHead head;
  PerceiverHead::Params<float> params;
  std::vector<Matrix<float>> rows;
  std::vector<Index> slots;
  std::vector<Keys<float>> texts;
  Matrix<float> e, de;

  Problem(const Size& size, Index batch) : head{size.latents, size.heads, size.head_dim, 0, false, Residual::latents} {
    params = head.init<float>(size.width, size.keys, 1);
    std::mt19937_64 generator(2);
    slots.resize(static_cast<std::size_t>(size.keys));
    for (Index b = 0; b < batch; ++b)
      rows.push_back(head_math::normal_init<float>(size.keys, size.width, 1.0, generator));
    for (const auto& text : rows) texts.push_back({rows_of(text), slots});
    e.resize(batch, size.width);
    de = head_math::normal_init<float>(batch, size.width, 1.0, generator);
  }
};

Problem& problem(const Size& size, Index batch) {
  static std::map<std::pair<Index, Index>, Problem> problems;
  if (!problems.empty() && !problems.contains({size.width, batch})) problems.clear();  // one large one at a time
  return problems.try_emplace({size.width, batch}, size, batch).first->second;
}

double peak_with(Index threads) {
  static std::map<Index, double> peaks;
  double& peak = peaks[threads];
  if (peak == 0.0) {
    OpenMPExecutor executor(threads);
    peak = bench::peak_flops<float>(executor);
  }
  return peak;
}

/// Each pass is timed alone; the fastest counts, since the machine's noise only ever adds time.
template <class Work>
void run(benchmark::State& state, const Size& size, Index batch, Index threads, double passes, Work&& work) {
  const head_math::AttentionSizes sizes{size.width, size.latents, size.heads, size.head_dim};
  const auto operations = [](Index cost) { return 2.0 * static_cast<double>(cost); };
  const double best = operations(head_math::best_cost(sizes, size.keys, 4 * size.width, size.latents));
  const double plain = operations(head_math::plain_cost(sizes, size.keys, 4 * size.width));
  double fastest = 1e9;
  for (auto _ : state) {
    const double time = bench::seconds(work) / static_cast<double>(batch);
    fastest = std::min(fastest, time);
    state.SetIterationTime(time * static_cast<double>(batch));
  }
  state.counters["ms_a_text"] = fastest * 1e3;
  state.counters["GFLOP_best"] = best * 1e-9;
  state.counters["of_peak"] = passes * best / fastest / peak_with(threads);
  state.counters["of_peak_plain"] = passes * plain / fastest / peak_with(threads);
}

void forward(benchmark::State& state, Size size) {
  const Index batch = state.range(0), threads = state.range(1);
  Problem& p = problem(size, batch);
  OpenMPExecutor executor(threads);
  const auto prepared = p.head.prepare(p.params, ExecutorRef(executor));
  PerceiverHead::Batch<float> scratch;
  run(state, size, batch, threads, 1,
      [&] { p.head.forward_all<float>(p.params, prepared, p.texts, scratch, rows_of(p.e), ExecutorRef(executor)); });
}

/// Without the chain to W_q and W_K, which comes once a step for any number of texts: `once_a_step`.
void forward_backward(benchmark::State& state, Size size) {
  const Index batch = state.range(0), threads = state.range(1);
  Problem& p = problem(size, batch);
  OpenMPExecutor executor(threads);
  const auto prepared = p.head.prepare(p.params, ExecutorRef(executor));
  PerceiverHead::Batch<float> scratch;
  PerceiverHead::Params<float> gradient = p.params;
  PerceiverHead::PreparedGradient<float> dprepared;
  std::vector<Matrix<float>> dkeys;
  for (const auto& text : p.rows) dkeys.push_back(Matrix<float>::Zero(text.rows(), text.cols()));
  std::vector<Rows<float>> views;
  for (auto& text : dkeys) views.push_back(rows_of(text));
  run(state, size, batch, threads, 3, [&] {
    p.head.forward_all_kept<float>(p.params, prepared, p.texts, scratch, rows_of(p.e), ExecutorRef(executor));
    p.head.backward_all<float>(p.params, prepared, p.texts, scratch, rows_of(std::as_const(p.de)), gradient, dprepared,
                               views, ExecutorRef(executor));
  });
}

/// What comes once for the parameters: preparing, and in training the chain from what was prepared to W_q and W_K.
void once_a_step(benchmark::State& state, Size size) {
  const Index threads = state.range(1);
  Problem& p = problem(size, state.range(0));
  OpenMPExecutor executor(threads);
  PerceiverHead::Params<float> gradient = p.params;
  PerceiverHead::PreparedGradient<float> dprepared;
  double prepare = 1e9, chain = 1e9;
  for (auto _ : state) {
    prepare = std::min(prepare, bench::seconds([&] {
                         const auto prepared = p.head.prepare(p.params, ExecutorRef(executor));
                         if (dprepared.size() == 0) dprepared = prepared.queries.rows;
                       }));
    const auto prepared = p.head.prepare(p.params, ExecutorRef(executor));
    chain = std::min(chain, bench::seconds([&] {
                       p.head.chain<float>(p.params, prepared, dprepared, gradient, ExecutorRef(executor));
                     }));
    state.SetIterationTime(prepare + chain);
  }
  state.counters["prepare_ms"] = prepare * 1e3;
  state.counters["chain_ms"] = chain * 1e3;
}

void plain_forward(benchmark::State& state, Size size) {
  const Index batch = state.range(0), threads = state.range(1);
  Problem& p = problem(size, batch);
  Eigen::setNbThreads(static_cast<int>(threads));
  PerceiverHead::Cache<float> cache;
  run(state, size, batch, threads, 1, [&] {
    for (Index b = 0; b < batch; ++b)
      p.e.row(b) = p.head.forward(p.params, p.texts[static_cast<std::size_t>(b)], cache);
  });
}

void plain_forward_backward(benchmark::State& state, Size size) {
  const Index batch = state.range(0), threads = state.range(1);
  Problem& p = problem(size, batch);
  Eigen::setNbThreads(static_cast<int>(threads));
  PerceiverHead::Cache<float> cache;
  PerceiverHead::Params<float> gradient = p.params;
  Matrix<float> dkeys = Matrix<float>::Zero(size.keys, size.width);
  run(state, size, batch, threads, 3, [&] {
    for (Index b = 0; b < batch; ++b) {
      const Keys<float>& keys = p.texts[static_cast<std::size_t>(b)];
      p.e.row(b) = p.head.forward(p.params, keys, cache);
      p.head.backward(p.params, keys, cache, RowVector<float>(p.de.row(b)), gradient, rows_of(dkeys));
    }
  });
}

void settings(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"batch", "threads"})->UseManualTime()->Unit(benchmark::kMillisecond);
}
void small_sizes(benchmark::internal::Benchmark* benchmark) {
  settings(benchmark);
  for (const Index threads : {1, 2})
    for (const Index batch : {1, 8, 64}) benchmark->Args({batch, threads});
}
void full_sizes(benchmark::internal::Benchmark* benchmark) {
  settings(benchmark);
  for (const Index threads : {1, 2}) benchmark->Args({4, threads})->Iterations(3);
}

BENCHMARK_CAPTURE(forward, small, small)->Apply(small_sizes);
BENCHMARK_CAPTURE(plain_forward, small, small)->Apply(small_sizes);
BENCHMARK_CAPTURE(forward_backward, small, small)->Apply(small_sizes);
BENCHMARK_CAPTURE(plain_forward_backward, small, small)->Apply(small_sizes);
BENCHMARK_CAPTURE(once_a_step, small, small)->Apply(small_sizes);
BENCHMARK_CAPTURE(forward, full, full)->Apply(full_sizes);
BENCHMARK_CAPTURE(forward_backward, full, full)->Apply(full_sizes);
BENCHMARK_CAPTURE(once_a_step, full, full)->Apply(full_sizes);
BENCHMARK_CAPTURE(plain_forward, full, full)->Apply(full_sizes);

}  // namespace
