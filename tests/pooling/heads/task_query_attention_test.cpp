#include "embedpool/pooling/heads/task_query_attention.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "embedpool/pooling/heads/key_weights.hpp"
#include "embedpool/pooling/heads/single_query_attention.hpp"

using namespace embedpool;

namespace {

constexpr Index width = 5;

/// Two keys of the prompt and three of the text, kinds as a reader of three layers and a token twice gives them.
struct Text {
  Matrix<double> rows = random(5, 1);
  std::vector<Index> kinds = {0, 1, 2, 3, 3};

  static Matrix<double> random(Index count, std::uint64_t seed) {
    std::mt19937_64 generator(seed);
    return head_math::normal_init<double>(count, width, 1.0, generator);
  }
  Keys<double> keys() const { return {rows_of(rows), kinds}; }
  /// Without the keys of the prompt.
  Text own() const {
    Text text;
    text.rows = Matrix<double>(3, width);
    text.rows << rows.row(1), rows.row(3), rows.row(4);
    text.kinds = {1, 3, 3};
    return text;
  }
};

RowVector<double> embed(const TaskQueryAttention::Params<double>& params, const Text& text) {
  TaskQueryAttention::Cache<double> cache;
  return TaskQueryAttention{}.forward(params, text.keys(), cache);
}
RowVector<double> embed_with_single_query(const Matrix<double>& query, const Text& text) {
  SingleQueryAttention::Cache<double> cache;
  return SingleQueryAttention{}.forward({query}, text.keys(), cache);
}

}  // namespace

TEST_CASE("the query is the learned one, turned by the mean of the prompt's keys") {
  const Text text;
  const TaskQueryAttention::Params<double> params{Text::random(1, 3), Text::random(width, 4)};
  const Matrix<double> prompt = (text.rows.row(0) + text.rows.row(2)) / 2;
  const Matrix<double> query = params.query + prompt * params.task.transpose();
  // Sums of five products, in another order.
  CHECK((embed(params, text) - embed_with_single_query(query, text.own())).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("without a prompt, or before training, no task turns the query") {
  const Text text;
  TaskQueryAttention::Params<double> params{Text::random(1, 3), Text::random(width, 4)};
  CHECK(embed(params, text.own()) == embed_with_single_query(params.query, text.own()));
  CHECK(embed(params, text.own()) != embed(params, text));
  params.task.setZero();
  CHECK(embed(params, text) == embed_with_single_query(params.query, text.own()));
  const auto start = TaskQueryAttention{}.init<double>(width, 4);
  CHECK((embed(start, text) - text.own().rows.colwise().mean()).cwiseAbs().maxCoeff() < 1e-15);
}

TEST_CASE("keys of the prompt have no weight") {
  const Text text;
  AnyHead::Params<double> params{detail::Held<TaskQueryAttention, TaskQueryAttention::Params<double>>{
      {Text::random(1, 3), Text::random(width, 4)}}};
  const auto weights = key_weights<double>(TaskQueryAttention{}, params, text.keys());
  REQUIRE(weights.has_value());
  CHECK((*weights)(0) == 0);
  CHECK((*weights)(2) == 0);
  CHECK(weights->sum() == doctest::Approx(1).epsilon(1e-14));
}

TEST_CASE("parameters that do not fit and kinds that are not in pairs are refused") {
  const TaskQueryAttention head;
  const auto params = head.init<double>(width, 4);
  CHECK_NOTHROW(head.check(params, width, 4));
  CHECK_THROWS_AS(head.check(params, width + 1, 4), ShapeError);
  CHECK_THROWS_AS(head.check(params, width, 3), ShapeError);
}
