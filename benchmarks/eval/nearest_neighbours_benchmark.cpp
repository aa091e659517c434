// How near does exact search come to the machine's peak? The 1000 nearest of 100,000 vectors of 576 values for 1,000
// queries, as a retrieval task asks for them, and the nearest one alone, as bitext mining does; beside them the same
// products written to memory. Needed operations: one multiply-add for each value of each pair.
#include <benchmark/benchmark.h>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/nearest_neighbours.hpp"
#include "support/fastest.hpp"
#include "support/random_buffer.hpp"

using namespace embedpool;

namespace {

constexpr Index corpus_rows = 100'000, width = 576, query_rows = 1'000;

Rows<const float> vectors(Index rows, unsigned seed) {
  static std::vector<AlignedBuffer<float>> kept;
  kept.push_back(bench::random_buffer(rows * width, seed));
  return {kept.back().data(), rows, width};
}
Rows<const float> corpus() {
  static const Rows<const float> rows = vectors(corpus_rows, 1);
  return rows;
}
Rows<const float> queries() {
  static const Rows<const float> rows = vectors(query_rows, 2);
  return rows;
}

template <class Work>
void measure(benchmark::State& state, Index count, ThreadPool& executor, Work&& work) {
  const double operations = 2.0 * static_cast<double>(count) * corpus_rows * width;
  const double seconds = bench::fastest(state, work);
  state.counters["queries/s"] = static_cast<double>(count) / seconds;
  state.counters["share_of_f32_peak_%"] = 100 * operations / seconds / bench::peak_flops<float>(executor);
}

void search(benchmark::State& state) {
  ThreadPool executor(state.range(2));
  const Index count = state.range(1);
  measure(state, count, executor, [&] {
    benchmark::DoNotOptimize(nearest_neighbours(queries().middle_rows(0, count), corpus(), state.range(0), executor));
  });
}
BENCHMARK(search)
    ->ArgNames({"k", "queries", "threads"})
    ->ArgsProduct({{1, 10, 1000}, {query_rows}, {1, 2}})
    ->ArgsProduct({{1000}, {1, 100}, {1, 2}})
    ->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);

/// All scores in memory, 240 queries at a time, and nothing found among them.
void scores_alone(benchmark::State& state) {
  ThreadPool executor(state.range(0));
  constexpr Index block = 240;
  AlignedBuffer<float> scores(block * corpus_rows);
  measure(state, block, executor, [&] {
    gemm_nt(queries().middle_rows(0, block), weight_view(corpus()),
            StoreTo<float>{Rows<float>(scores.data(), block, corpus_rows)}, executor);
  });
}
BENCHMARK(scores_alone)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
