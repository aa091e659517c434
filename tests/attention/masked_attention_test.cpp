#include <doctest/doctest.h>

#include <cmath>

#include "attention/every_mask.hpp"
#include "embedpool/attention/masked_attention.hpp"
#include "kernels/random_values.hpp"

using namespace embedpool;
using embedpool::test::for_every_mask;

namespace {

/// Queries, keys and values of a batch, and attention over them.
template <Real S>
struct Problem {
  Segments segments;
  AttentionShape shape;
  std::vector<S> q, k, v;

  Problem(std::vector<TextShape> texts, AttentionShape attention, unsigned seed) : shape(attention) {
    for (const TextShape& text : texts) segments.add(text);
    q = test::random_values<S>(segments.rows() * shape.heads * shape.head_dim, seed);
    k = test::random_values<S>(segments.rows() * shape.kv_heads * shape.head_dim, seed + 1);
    v = test::random_values<S>(segments.rows() * shape.kv_heads * shape.head_dim, seed + 2);
  }
  Index query_width() const { return shape.heads * shape.head_dim; }
  Rows<const S> rows(const std::vector<S>& values) const {
    return {values.data(), segments.rows(), static_cast<Index>(values.size()) / segments.rows()};
  }
  template <MaskPolicy M, Executor E>
  std::vector<S> fast(const M& mask, E executor) const {
    std::vector<S> out(q.size(), std::numeric_limits<S>::quiet_NaN());
    masked_attention(rows(q), rows(k), rows(v), segments, RowSelection::all(segments), shape, mask,
                     Rows<S>(out.data(), segments.rows(), query_width()), executor);
    return out;
  }
};

const std::vector<TextShape> ragged{TextShape::bare(1), TextShape{67, {9, 60}, 9}, TextShape::bare(5),
                                    TextShape::bare(130), TextShape{17, {4, 17}, 4}};

}  // namespace

TEST_CASE_TEMPLATE("attention in tiles agrees with the definition under every mask and head shape", S, float, double) {
  for (const AttentionShape& shape :
       {AttentionShape{4, 2, 8, 0.35}, {2, 2, 24, 0.2}, {3, 1, 80, 0.1}, {1, 1, 5, 1.0}}) {
    const Problem<S> problem(ragged, shape, 21);
    for_every_mask([&](const auto& mask) {
      std::vector<S> expected(problem.q.size());
      scalar::masked_attention(problem.rows(problem.q), problem.rows(problem.k), problem.rows(problem.v),
                               problem.segments, RowSelection::all(problem.segments), shape, mask,
                               Rows<S>(expected.data(), problem.segments.rows(), problem.query_width()));
      const auto got = problem.fast(mask, SerialExecutor{});
      for (std::size_t i = 0; i < got.size(); ++i)  // scores of size up to 30, exponentials, sums of 130 terms
        REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= 200.0 * std::numeric_limits<S>::epsilon());
    });
  }
}

TEST_CASE("a text's attention has the same bits alone, in any batch and with any number of threads") {
  const AttentionShape shape{4, 2, 16, 0.25};
  const Problem<float> problem(ragged, shape, 31);
  for_every_mask([&](const auto& mask) {
    const auto together = problem.fast(mask, SerialExecutor{});
#ifdef _OPENMP
    for (const Index threads : {2, 3}) CHECK(problem.fast(mask, OpenMPExecutor(threads)) == together);
#endif
    for (Index b = 0; b < problem.segments.size(); ++b) {
      Problem<float> alone({problem.segments.shape(b)}, shape, 0);
      const auto copy = [&](const std::vector<float>& from, std::vector<float>& to) {
        const Index width = static_cast<Index>(to.size()) / alone.segments.rows();
        std::copy_n(from.begin() + problem.segments.offset(b) * width, to.size(), to.begin());
      };
      copy(problem.q, alone.q);
      copy(problem.k, alone.k);
      copy(problem.v, alone.v);
      const auto got = alone.fast(mask, SerialExecutor{});
      CHECK(std::equal(got.begin(), got.end(), together.begin() + problem.segments.offset(b) * problem.query_width()));
    }
  });
}

TEST_CASE("selected queries have the bits of the whole computation") {
  const AttentionShape shape{2, 1, 12, 0.3};
  const Problem<float> problem(ragged, shape, 41);
  for_every_mask([&](const auto& mask) {
    const auto all = problem.fast(mask, SerialExecutor{});
    for (const bool last : {true, false}) {
      const RowSelection chosen(problem.segments, [&](const TextShape& text) {
        return last ? Interval{text.tokens - 1, text.tokens}
                    : Interval{text.tokens / 3, text.tokens / 3 + (text.tokens + 1) / 2};
      });
      std::vector<float> q, out(static_cast<std::size_t>(chosen.rows() * problem.query_width())), expected;
      for (Index b = 0; b < problem.segments.size(); ++b)
        for (Index t = chosen.held(b).begin; t < chosen.held(b).end; ++t) {
          const Index first = (problem.segments.offset(b) + t) * problem.query_width();
          q.insert(q.end(), problem.q.begin() + first, problem.q.begin() + first + problem.query_width());
          expected.insert(expected.end(), all.begin() + first, all.begin() + first + problem.query_width());
        }
      SerialExecutor executor;
      masked_attention(Rows<const float>(q.data(), chosen.rows(), problem.query_width()), problem.rows(problem.k),
                       problem.rows(problem.v), problem.segments, chosen, shape, mask,
                       Rows<float>(out.data(), chosen.rows(), problem.query_width()), executor);
      CHECK(out == expected);
    }
  });
}

TEST_CASE("under a causal mask rows before t keep their bits when token t changes, else they change") {
  const AttentionShape shape{2, 2, 8, 0.35};
  const Problem<float> before({TextShape::bare(90)}, shape, 51);
  for (const Index t : {0, 47, 48, 63, 89}) {
    Problem<float> after = before;
    for (Index c = 0; c < 16; ++c)
      after.k[static_cast<std::size_t>(t * 16 + c)] += 1.0f, after.v[static_cast<std::size_t>(t * 16 + c)] -= 1.0f;
    const auto x = before.fast(Causal{}, SerialExecutor{}), y = after.fast(Causal{}, SerialExecutor{});
    CHECK(std::equal(x.begin(), x.begin() + t * 16, y.begin()));
    CHECK(!std::equal(x.begin() + t * 16, x.begin() + (t + 1) * 16, y.begin() + t * 16));
    const auto u = before.fast(Bidirectional{}, SerialExecutor{}), w = after.fast(Bidirectional{}, SerialExecutor{});
    for (Index i = 0; i < 90; ++i)
      REQUIRE(!std::equal(u.begin() + i * 16, u.begin() + (i + 1) * 16, w.begin() + i * 16));
  }
}
