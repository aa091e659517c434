#include <doctest/doctest.h>

#include "attention/every_mask.hpp"
#include "embedpool/attention/masked_attention_backward.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::for_every_mask;
using embedpool::test::random_matrix;

namespace {

/// A batch, some of whose tokens ask, and what flows back.
template <Real S>
struct Problem {
  Segments segments;
  AttentionShape shape;
  RowSelection queries;
  Matrix<S> q, k, v, dout;

  Problem(const Segments& texts, AttentionShape attention, RowSelection asking)
      : segments(texts), shape(attention), queries(std::move(asking)),
        q(random_matrix<S>(queries.rows(), shape.heads * shape.head_dim, 1)),
        k(random_matrix<S>(segments.rows(), shape.kv_heads * shape.head_dim, 2)),
        v(random_matrix<S>(segments.rows(), shape.kv_heads * shape.head_dim, 3)),
        dout(random_matrix<S>(q.rows(), q.cols(), 4)) {}

  struct Gradients {
    Matrix<S> q, k, v;
  };
  /// From buffers full of NaN: backward overwrites.
  template <MaskPolicy M, Executor E>
  Gradients backward(const M& mask, E& executor) const {
    Gradients d{unset(q), unset(k), unset(v)};
    masked_attention_backward(rows_of(q), rows_of(k), rows_of(v), segments, queries, shape, mask, rows_of(dout),
                              rows_of(d.q), rows_of(d.k), rows_of(d.v), executor);
    return d;
  }
  template <MaskPolicy M>
  Gradients definition(const M& mask) const {
    Gradients d{unset(q), unset(k), unset(v)};
    scalar::masked_attention_backward(rows_of(q), rows_of(k), rows_of(v), segments, queries, shape, mask, rows_of(dout),
                                      rows_of(d.q), rows_of(d.k), rows_of(d.v));
    return d;
  }

 private:
  static Matrix<S> unset(const Matrix<S>& like) {
    return Matrix<S>::Constant(like.rows(), like.cols(), std::numeric_limits<S>::quiet_NaN());
  }
};

Segments texts_of(std::initializer_list<Index> lengths) {
  Segments segments;
  for (const Index n : lengths) segments.add({n, {n / 3, n}, n / 3});
  return segments;
}

RowSelection last_third(const Segments& segments) {
  return {segments, [](const TextShape& shape) { return Interval{shape.tokens - 1 - shape.tokens / 3, shape.tokens}; }};
}

const AttentionShape shapes[] = {{4, 2, 8, 0.35}, {2, 2, 24, 0.2}, {3, 1, 80, 0.1}, {1, 1, 5, 1.0}};

}  // namespace

TEST_CASE("attention backward agrees with central differences under every mask, in q, k and v") {
  SerialExecutor serial;
  for (const bool pruned : {false, true}) {
    const Segments segments = texts_of({1, 11, 4});
    Problem<double> problem(segments, {4, 2, 3, 0.6}, pruned ? last_third(segments) : RowSelection::all(segments));
    for_every_mask([&](const auto& mask) {
      const auto loss = [&] {
        Matrix<double> out(problem.q.rows(), problem.q.cols());
        masked_attention(rows_of(std::as_const(problem.q)), rows_of(std::as_const(problem.k)),
                         rows_of(std::as_const(problem.v)), problem.segments, problem.queries, problem.shape, mask,
                         rows_of(out), serial);
        return out.cwiseProduct(problem.dout).sum();
      };
      const auto d = problem.backward(mask, serial);
      // The quotient itself is wrong by about step^2 + epsilon / step.
      CHECK(testing::relative_error(d.q, testing::numeric_gradient(problem.q, loss)) < 1e-8);
      CHECK(testing::relative_error(d.k, testing::numeric_gradient(problem.k, loss)) < 1e-8);
      CHECK(testing::relative_error(d.v, testing::numeric_gradient(problem.v, loss)) < 1e-8);
    });
  }
}

TEST_CASE_TEMPLATE("attention backward in tiles agrees with its definition under every mask and head shape", S, float,
                   double) {
  SerialExecutor serial;
  const Segments segments = texts_of({1, 67, 5, 130, 17});
  for (const AttentionShape& shape : shapes)
    for (const bool pruned : {false, true}) {
      const Problem<S> problem(segments, shape, pruned ? last_third(segments) : RowSelection::all(segments));
      for_every_mask([&](const auto& mask) {
        const auto got = problem.backward(mask, serial), expected = problem.definition(mask);
        // Gradients of size up to about 30, sums of up to 3 x 130 terms in another order.
        const double bound = 2000.0 * std::numeric_limits<S>::epsilon();
        CHECK(static_cast<double>((got.q - expected.q).cwiseAbs().maxCoeff()) < bound);
        CHECK(static_cast<double>((got.k - expected.k).cwiseAbs().maxCoeff()) < bound);
        CHECK(static_cast<double>((got.v - expected.v).cwiseAbs().maxCoeff()) < bound);
      });
    }
}

TEST_CASE("attention backward has the same bits whoever runs the jobs, alone and in a batch") {
  testing::ShuffledExecutor shuffled(4, 7);
  SerialExecutor serial;
  const Segments segments = texts_of({5, 67, 130});
  const Problem<float> problem(segments, {4, 2, 8, 0.35}, RowSelection::all(segments));
  const auto a = problem.backward(Causal{}, serial), b = problem.backward(Causal{}, shuffled);
  CHECK(a.q == b.q);
  CHECK(a.k == b.k);
  CHECK(a.v == b.v);

  const Segments one = texts_of({67});
  Problem<float> alone(one, problem.shape, RowSelection::all(one));
  alone.q = problem.q.middleRows(5, 67);
  alone.k = problem.k.middleRows(5, 67);
  alone.v = problem.v.middleRows(5, 67);
  alone.dout = problem.dout.middleRows(5, 67);
  const auto c = alone.backward(Causal{}, serial);
  CHECK(c.q == a.q.middleRows(5, 67));
  CHECK(c.k == a.k.middleRows(5, 67));
  CHECK(c.v == a.v.middleRows(5, 67));
}

TEST_CASE("a text of one token sends no gradient through its weights") {
  SerialExecutor serial;
  const Segments segments = texts_of({1});
  const Problem<double> problem(segments, {2, 1, 6, 0.4}, RowSelection::all(segments));
  const auto d = problem.backward(Causal{}, serial);
  CHECK(d.q.cwiseAbs().maxCoeff() == 0);
  CHECK(d.k.cwiseAbs().maxCoeff() == 0);
  // Two terms of size 1 to 4 in double, added once: an epsilon of 2.2e-16 for each value.
  CHECK((d.v - (problem.dout.leftCols(6) + problem.dout.rightCols(6))).cwiseAbs().maxCoeff() < 1e-14);
}
