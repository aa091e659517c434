#include <doctest/doctest.h>

#include "embedpool/pooling/heads/cross_attention.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/heads/latent_attention.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "pooling/heads/one_text.hpp"
#include "support/busy_executor.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

static_assert(!PreparedHead<Identity, float>);
static_assert(std::same_as<PreparedOf<float, Identity>, NothingPrepared>);

namespace {

/// Random everywhere: a zero start would hide the attention.
template <Real S, class Head>
typename Head::template Params<S> random_params(const Head& head, Index width, Index slots) {
  auto params = head.template init<S>(width, slots, 3);
  unsigned seed = 5;
  Head::for_each(params, [&](const std::string&, Matrix<S>& tensor) {
    tensor += S(0.3) * random_matrix<S>(tensor.rows(), tensor.cols(), ++seed);
  });
  return params;
}

/// Relative difference between the prepared and the plain forward on `count` keys.
template <Real S, class Head>
double difference(const Head& head, Index width, Index count) {
  const auto params = random_params<S>(head, width, count + 2);
  const Matrix<S> rows = random_matrix<S>(count, width, 9);
  std::vector<Index> slots;
  for (Index k = 0; k < count; ++k) slots.push_back(count + 1 - k);  // not in order, not from 0
  const Keys<S> keys{rows_of(rows), slots};
  typename Head::template Cache<S> plain;
  const RowVector<S> expected = head.forward(params, keys, plain);
  const RowVector<S> got = test::prepared_embedding<S>(head, params, keys);
  return testing::relative_error(got.template cast<double>(), expected.template cast<double>());
}

template <class Head>
void check_agreement(const Head& head, Index width) {
  for (const Index count : {1, 2, 3, 5, 17, 64}) {
    CAPTURE(count);
    // The same sums in another order: some hundred roundings on the longest way through the head.
    CHECK(difference<double>(head, width, count) < 1e-12);
    CHECK(difference<float>(head, width, count) < 1e-4);
  }
}

}  // namespace

TEST_CASE("the prepared latent attention agrees with the plain one, with values projected early or late") {
  for (const LatentAttention& head : {LatentAttention{3, 1, 16, 11, false}, {40, 5, 2, 11, false}, {1, 1, 1, 11, false}}) {
    CAPTURE(head.latents);
    check_agreement(head, 9);
    check_agreement(head, 1);
  }
  SerialExecutor serial;
  const auto projects_early = [&](const LatentAttention& head) {
    return head.prepare(head.init<float>(9, 1), ExecutorRef(serial)).projected;
  };
  CHECK(projects_early({3, 1, 16}));
  CHECK_FALSE(projects_early({40, 5, 2}));
}

TEST_CASE("the prepared cross-attention agrees with the plain one") {
  using Start = CrossAttention::Start;
  for (const Start start : {Start::pooling, Start::paper})
    for (const Index queries : {1, 6}) {
      CAPTURE(queries);
      check_agreement(CrossAttention{queries, 3, true, start}, 9);
      check_agreement(CrossAttention{queries, 1, false, start}, 1);
    }
}

TEST_CASE("weights over keys are NaN where a score is, in columns of whole registers and in those left over") {
  const Index columns = simd::lanes<float> + 1;
  Matrix<float> scores = Matrix<float>::Ones(3, columns);
  scores.row(1).setConstant(std::numeric_limits<float>::quiet_NaN());
  SerialExecutor serial;
  head_math::softmax_over_keys(rows_of(scores), std::vector<Index>{0, 3}, ExecutorRef(serial));
  for (Index j = 0; j < columns; ++j) CHECK(std::isnan(scores(1, j)));
}

TEST_CASE("a thread that goes back through another batch while it waits for an executor changes no gradient of a weight") {
  const Matrix<float> a = random_matrix<float>(20, 150, 1), b = random_matrix<float>(20, 40, 2);
  const Matrix<float> other_a = random_matrix<float>(7, 200, 3), other_b = random_matrix<float>(7, 40, 4);
  const auto gradient = [](const Matrix<float>& x, const Matrix<float>& y, auto&& executor) {
    Matrix<float> c = Matrix<float>::Zero(x.cols(), y.cols());
    head_math::add_product_tn(rows_of(x), rows_of(y), rows_of(c), ExecutorRef(executor));
    return c;
  };
  test::BusyExecutor busy([&] { gradient(other_a, other_b, test::BusyExecutor()); });
  CHECK(gradient(a, b, busy) == gradient(a, b, SerialExecutor()));
}
