#include "embedpool/attention/masked_attention.hpp"

#include <Eigen/Core>
#include <limits>

#include "embedpool/core/matrix.hpp"
#include "support/fastest.hpp"
#include "support/random_buffer.hpp"

/// What does attention under a mask cost, and does it skip what the mask forbids? Heads of SmolLM2-135M (9 query heads,
/// 3 key heads of 64), one thread, one text of 128 to 2048 tokens and 64 texts of 20. Beside it Eigen with a full
/// [n, n] matrix for each head. "of_peak" is the share of the multiply-add peak of the same process, counting only the
/// pairs that the mask allows: 4 d operations each; softmax counts as nothing.
namespace {

using namespace embedpool;

constexpr AttentionShape shape{9, 3, 64, 0.125};

struct Problem {
  Segments segments;
  AlignedBuffer<float> q, k, v, out;

  explicit Problem(const benchmark::State& state) {
    for (Index b = 0; b < state.range(0); ++b) segments.add(TextShape::bare(state.range(1)));
    q = bench::random_buffer(segments.rows() * shape.heads * shape.head_dim, 1);
    k = bench::random_buffer(segments.rows() * shape.kv_heads * shape.head_dim, 2);
    v = bench::random_buffer(segments.rows() * shape.kv_heads * shape.head_dim, 3);
    out = bench::random_buffer(segments.rows() * shape.heads * shape.head_dim, 4);
  }
  template <class S>
  Rows<S> rows(const AlignedBuffer<float>& buffer, Index heads) const {
    return {buffer.data(), segments.rows(), heads * shape.head_dim};
  }
};

template <MaskPolicy Mask>
void report(benchmark::State& state, const Problem& problem, const Mask& mask, double seconds) {
  double pairs = 0;
  for (Index b = 0; b < problem.segments.size(); ++b)
    for (Index i = 0; i < problem.segments.shape(b).tokens; ++i)
      pairs += static_cast<double>(mask.keys(i, problem.segments.shape(b)).size());
  static const double peak = [] {
    SerialExecutor executor;
    return bench::peak_flops<float>(executor);
  }();
  const double rate = 4.0 * static_cast<double>(shape.heads * shape.head_dim) * pairs / seconds;
  state.counters["GFLOP/s"] = rate * 1e-9;
  state.counters["of_peak"] = rate / peak;
}

template <MaskPolicy Mask>
void embedpool_attention(benchmark::State& state) {
  const Problem problem(state);
  const RowSelection all = RowSelection::all(problem.segments);
  const Mask mask{};
  SerialExecutor executor;
  report(state, problem, mask, bench::fastest(state, [&] {
           masked_attention(problem.rows<const float>(problem.q, shape.heads),
                            problem.rows<const float>(problem.k, shape.kv_heads),
                            problem.rows<const float>(problem.v, shape.kv_heads), problem.segments, all, shape, mask,
                            problem.rows<float>(problem.out, shape.heads), executor);
         }));
}

template <MaskPolicy Mask>
void eigen_attention(benchmark::State& state) {
  const Problem problem(state);
  const Mask mask{};
  Eigen::setNbThreads(1);
  using Map = Eigen::Map<Matrix<float>, 0, Eigen::OuterStride<>>;
  const auto part = [&](const AlignedBuffer<float>& buffer, Index heads, Index text, Index head) {
    const Index stride = heads * shape.head_dim;
    return Map(buffer.data() + problem.segments.offset(text) * stride + head * shape.head_dim,
               problem.segments.shape(text).tokens, shape.head_dim, Eigen::OuterStride<>(stride));
  };
  Matrix<float> scores;
  report(state, problem, mask, bench::fastest(state, [&] {
           for (Index b = 0; b < problem.segments.size(); ++b)
             for (Index h = 0; h < shape.heads; ++h) {
               const Index g = h / (shape.heads / shape.kv_heads), tokens = problem.segments.shape(b).tokens;
               scores.noalias() =
                   part(problem.q, shape.heads, b, h) * part(problem.k, shape.kv_heads, b, g).transpose();
               for (Index i = 0; i < tokens; ++i) {
                 const Interval keys = mask.keys(i, problem.segments.shape(b));
                 auto row = scores.row(i).array();
                 row *= static_cast<float>(shape.scale);
                 row.head(keys.begin).setConstant(-std::numeric_limits<float>::infinity());
                 row.tail(tokens - keys.end).setConstant(-std::numeric_limits<float>::infinity());
                 row = (row - row.maxCoeff()).exp().eval();
                 row /= row.sum();
               }
               part(problem.out, shape.heads, b, h).noalias() = scores * part(problem.v, shape.kv_heads, b, g);
             }
           benchmark::ClobberMemory();
         }));
}

void texts(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"texts", "tokens"})->UseManualTime()->Unit(benchmark::kMicrosecond)->MinTime(0.1);
  for (const Index tokens : {128, 512, 2048}) benchmark->Args({1, tokens});
  benchmark->Args({64, 20});
}

BENCHMARK_TEMPLATE(embedpool_attention, Causal)->Apply(texts);
BENCHMARK_TEMPLATE(embedpool_attention, Bidirectional)->Apply(texts);
BENCHMARK_TEMPLATE(eigen_attention, Causal)->Apply(texts);
BENCHMARK_TEMPLATE(eigen_attention, Bidirectional)->Apply(texts);

}  // namespace
