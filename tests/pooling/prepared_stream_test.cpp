#include <doctest/doctest.h>

#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/pooling/tokens/all_tokens.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/hidden_states.hpp"

using namespace embedpool;

namespace {

using Perceiver = Pooling<LastLayer, AllTokens, PerceiverHead>;
const Perceiver pooling{{}, {}, {5, 2, 6, 7, false, Residual::latents}};
constexpr Index width = 9;

/// PerceiverHead with nothing but what every head must have: what somebody writes who knows of no batches.
struct PlainPerceiver {
  template <Real S>
  using Params = PerceiverHead::Params<S>;
  template <Real S>
  using Cache = PerceiverHead::Cache<S>;
  PerceiverHead head{5, 2, 6, 7, false, Residual::latents};
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    PerceiverHead::for_each(p, f);
  }
  Index output_width(Index wide) const { return wide; }
  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    return head.forward(p, keys, c);
  }
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    head.backward(p, keys, c, de, dp, dkeys);
  }
};
static_assert(HeadPolicy<PlainPerceiver, double> && !PreparedHead<PlainPerceiver, double>);
static_assert(!BatchedHead<PlainPerceiver, double> && BatchTrainedHead<PerceiverHead, double>);
const Pooling<LastLayer, AllTokens, PlainPerceiver> plain_pooling{};

PerceiverHead::Params<double> params() { return pooling.head.init<double>(width, 1, 3); }
PerceiverHead::Params<double> zeros() {
  auto p = params();
  PerceiverHead::for_each(p, [](auto&&, Matrix<double>& tensor) { tensor.setZero(); });
  return p;
}
double difference(PerceiverHead::Params<double>& a, PerceiverHead::Params<double>& b) {
  std::vector<Matrix<double>> values;
  PerceiverHead::for_each(a, [&](auto&&, Matrix<double>& tensor) { values.push_back(tensor); });
  double worst = 0;
  std::size_t i = 0;
  PerceiverHead::for_each(b, [&](auto&&, Matrix<double>& tensor) {
    worst = std::max(worst, testing::relative_error(tensor, values[i++]));
  });
  return worst;
}

const Segments segments = Segments::from_offsets(std::vector<Index>{0, 4, 5, 20});
const auto states = testing::HiddenStates<double>::random(segments, 1, width, 1);

/// One pass forward and, where something is kept, back.
template <class P>
Matrix<double> pass(const P& pooled, const PerceiverHead::Params<double>& p, KeepForBackward keep,
                    const PreparedOf<double, typename P::Head>* prepared, const auto& back) {
  SerialExecutor executor;
  auto stream = pooled.template stream<double>(p, segments, 1, width, executor, nullptr, keep, prepared);
  stream.push(1, states.layer(1));
  const Matrix<double> e = stream.finish(executor);
  if (keep == KeepForBackward::yes) back(stream, e);
  return e;
}
const auto nothing = [](auto&, const Matrix<double>&) {};

}  // namespace

TEST_CASE("work that was prepared outside a stream gives the same bits as that of its own") {
  const auto p = params();
  SerialExecutor executor;
  const auto prepared = pooling.prepare<double>(p, executor);
  const bool same = pass(pooling, p, KeepForBackward::no, nullptr, nothing) ==
                    pass(pooling, p, KeepForBackward::no, &prepared, nothing);
  CHECK(same);
}

TEST_CASE("a head with nothing but forward and backward pools and trains as the one that takes batches") {
  const auto p = params();
  auto batched = zeros(), plain = zeros();
  const Matrix<double> e = pass(pooling, p, KeepForBackward::yes, nullptr, [&](auto& stream, const Matrix<double>& de) {
    SerialExecutor executor;
    stream.backward(rows_of(de), batched, executor);
  });
  const Matrix<double> same = pass(plain_pooling, p, KeepForBackward::yes, nullptr, [&](auto& stream, const auto& de) {
    SerialExecutor executor;
    stream.backward(rows_of(de), plain, executor);
  });
  CHECK(testing::relative_error(e, same) < 1e-13);  // the same sums in another order
  CHECK(testing::relative_error(pass(plain_pooling, p, KeepForBackward::no, nullptr, nothing), same) < 1e-13);
  CHECK(difference(batched, plain) < 1e-12);
}

TEST_CASE("gradients of prepared work summed over two streams and chained once are those of two backward passes") {
  const auto p = params();
  SerialExecutor executor;
  const auto prepared = pooling.prepare<double>(p, executor);
  auto once = zeros(), twice = zeros();
  PerceiverHead::PreparedGradient<double> dprepared;
  for (int step = 0; step < 2; ++step) {
    pass(pooling, p, KeepForBackward::yes, &prepared,
         [&](auto& stream, const Matrix<double>& de) { stream.backward(rows_of(de), once, dprepared, executor); });
    pass(pooling, p, KeepForBackward::yes, &prepared, [&](auto& stream, const Matrix<double>& de) {
      stream.backward(rows_of(de), twice, executor);
      CHECK_THROWS_WITH_AS(stream.backward(rows_of(de), twice, executor), doctest::Contains("twice"), ShapeError);
    });
  }
  CHECK(once.attend.to_q.cwiseAbs().maxCoeff() == 0.0);
  pooling.chain<double>(p, prepared, dprepared, once, executor);
  CHECK(difference(once, twice) < 1e-12);  // rounding of sums in another order
}
