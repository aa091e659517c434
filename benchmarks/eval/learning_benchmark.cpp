// What does the learning of evaluation tasks cost: 10 rounds of few-shot logistic regression at the size of Banking77, and
// k-means and mini-batch k-means at the size of 20,000 short texts with 20 labels?
//
// Data: the raw files that EMBEDPOOL_EVALUATION_DATA names a folder of, as peers/evaluation.py writes them for the
// comparison with scikit-learn; else random classes.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/learn/logistic_regression.hpp"
#include "embedpool/eval/learn/mini_batch_k_means.hpp"
#include "support/fastest.hpp"
#include "support/random_buffer.hpp"

using namespace embedpool;

namespace {

constexpr Index width = 576, classes = 77, samples_a_class = 8, samples = classes * samples_a_class, rounds = 10,
                test_rows = 3080, clustered_rows = 20'000, clusters = 20;

/// Values of NAME.f32, or rows around random centres: row i of class i % `labels`.
Matrix<float> vectors(const std::string& name, Index rows, Index labels) {
  Matrix<float> x(rows, width);
  if (const char* folder = std::getenv("EMBEDPOOL_EVALUATION_DATA")) {
    std::ifstream file(std::string(folder) + "/" + name + ".f32", std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(x.data()), static_cast<std::streamsize>(x.size() * 4)))
      throw std::runtime_error(std::string(folder) + "/" + name + ".f32 is missing or too short");
    return x;
  }
  const auto noise = bench::random_buffer(rows * width, 1), centres = bench::random_buffer(labels * width, 2);
  for (Index i = 0; i < rows; ++i)
    for (Index d = 0; d < width; ++d)
      x(i, d) = (noise.data()[i * width + d] + 0.3f * centres.data()[i % labels * width + d]) / static_cast<float>(1 + d % 24);
  return x;
}

std::vector<Index> labels_of(Index rows) {
  std::vector<Index> labels;
  for (Index i = 0; i < rows; ++i) labels.push_back(i % classes);
  return labels;
}

void logistic_regression(benchmark::State& state) {
  static const Matrix<float> train = vectors("train", rounds * samples, classes), test = vectors("test", test_rows, classes);
  const std::vector<Index> labels = labels_of(samples), truth = labels_of(test_rows);
  ThreadPool executor(state.range(0));
  Index right = 0, iterations = 0, evaluations = 0;
  const double seconds = bench::fastest(state, [&] {
    right = iterations = evaluations = 0;
    for (Index r = 0; r < rounds; ++r) {
      const auto model = LogisticRegression<float>::fit(rows_of(train).middle_rows(r * samples, samples), labels, classes, executor);
      iterations += model.fit_result.iterations;
      evaluations += model.fit_result.evaluations;
      const auto predicted = model.predict(rows_of(test), executor);
      for (std::size_t i = 0; i < predicted.size(); ++i) right += predicted[i] == truth[i];
    }
  });
  state.counters["fastest_ms"] = 1e3 * seconds;
  state.counters["accuracy"] = static_cast<double>(right) / (rounds * test_rows);
  state.counters["iterations"] = static_cast<double>(iterations);
  state.counters["evaluations"] = static_cast<double>(evaluations);
}
BENCHMARK(logistic_regression)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);

void report(benchmark::State& state, const Clustering& clustering, double seconds) {
  state.counters["fastest_ms"] = 1e3 * seconds;
  state.counters["inertia"] = clustering.assignment.inertia();
  state.counters["steps"] = static_cast<double>(clustering.steps);
}

void mini_batch_k_means(benchmark::State& state) {
  static const Matrix<float> x = vectors("clustered", clustered_rows, clusters);
  ThreadPool executor(state.range(0));
  Clustering clustering;
  const double seconds = bench::fastest(state, [&] { clustering = embedpool::mini_batch_k_means(rows_of(x), clusters, executor); });
  report(state, clustering, seconds);
}
BENCHMARK(mini_batch_k_means)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);

/// From the first rows as centres, until no row changes its cluster.
void k_means(benchmark::State& state) {
  static const Matrix<float> x = vectors("clustered", clustered_rows, clusters);
  ThreadPool executor(state.range(0));
  Clustering clustering;
  const double seconds = bench::fastest(state, [&] { clustering = embedpool::k_means(rows_of(x), x.topRows(clusters), executor); });
  report(state, clustering, seconds);
}
BENCHMARK(k_means)->ArgName("threads")->Arg(1)->Arg(2)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
