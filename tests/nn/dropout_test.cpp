#include <doctest/doctest.h>

#include <set>

#include "embedpool/core/matrix.hpp"
#include "embedpool/nn/dropout.hpp"

using namespace embedpool;

namespace {

Segments texts_of(std::initializer_list<Index> lengths) {
  Segments segments;
  for (const Index n : lengths) segments.add(TextShape::bare(n));
  return segments;
}

Matrix<float> dropped(const DropoutKey& key, const Segments& segments, Index width, Index place = 3) {
  SerialExecutor serial;
  const Dropout dropout(key, segments, RowSelection::all(segments));
  const Matrix<float> ones = Matrix<float>::Ones(segments.rows(), width);
  Matrix<float> out(segments.rows(), width);
  dropout.forward(place, rows_of(ones), rows_of(out), serial);
  return out;
}

}  // namespace

TEST_CASE("dropout drops its share of values and keeps the mean") {
  const Segments segments = texts_of({50, 150});
  for (const double rate : {0.05, 0.1, 0.5, 0.9}) {
    const Matrix<float> out = dropped({rate, 5, 1, 0}, segments, 500);
    const double zeros = static_cast<double>((out.array() == 0).count()) / static_cast<double>(out.size());
    CHECK(std::abs(zeros - rate) < 4 * std::sqrt(rate * (1 - rate) / 100000));  // four standard deviations
    CHECK((out.array() == 0 || (out.array() - 1 / (1 - rate)).abs() < 1e-5f).all());
  }
}

TEST_CASE("coins of neighbours, rows, places and steps are independent") {
  const Segments segments = texts_of({200});
  const Index width = 500;
  const auto coins = [&](const DropoutKey& key, Index place) {
    const Matrix<float> out = dropped(key, segments, width, place);
    return Matrix<float>((out.array() == 0).cast<float>() - 0.5f);
  };
  const Matrix<float> a = coins({0.5, 5, 1, 0}, 3);
  const double bound = 4.5 * 0.25 / std::sqrt(1e5);  // four and a half standard deviations of a mean of +-1/4
  CHECK(std::abs(a.cwiseProduct(coins({0.5, 5, 2, 0}, 3)).mean()) < bound);  // step
  CHECK(std::abs(a.cwiseProduct(coins({0.5, 6, 1, 0}, 3)).mean()) < bound);  // seed
  CHECK(std::abs(a.cwiseProduct(coins({0.5, 5, 1, 1}, 3)).mean()) < bound);  // text
  CHECK(std::abs(a.cwiseProduct(coins({0.5, 5, 1, 0}, 4)).mean()) < bound);  // place
  for (const Index lag : {1, 2, 3, 7, 64})
    CHECK(std::abs(a.leftCols(width - lag).cwiseProduct(a.rightCols(width - lag)).mean()) < 1.1 * bound);
  for (const Index lag : {1, 2, 16})
    CHECK(std::abs(a.topRows(200 - lag).cwiseProduct(a.bottomRows(200 - lag)).mean()) < 1.1 * bound);
}

TEST_CASE("a part of a batch, or some of its tokens, get the coins they have in the whole") {
  SerialExecutor serial;
  const Segments whole = texts_of({4, 9, 6}), part = texts_of({9, 6});
  const Matrix<float> all = dropped({0.3, 5, 1, 10}, whole, 33);
  CHECK(dropped({0.3, 5, 1, 11}, part, 33) == all.bottomRows(15));

  const RowSelection last(whole, [](const TextShape& shape) { return Interval{shape.tokens - 1, shape.tokens}; });
  const Dropout dropout({0.3, 5, 1, 10}, whole, last);
  const Matrix<float> ones = Matrix<float>::Ones(3, 33);
  Matrix<float> out(3, 33);
  dropout.forward(3, rows_of(ones), rows_of(out), serial);
  CHECK(out.row(0) == all.row(3));
  CHECK(out.row(1) == all.row(12));
  CHECK(out.row(2) == all.row(18));
}

TEST_CASE("dropout backward passes what forward passed, and adds") {
  SerialExecutor serial;
  const Segments segments = texts_of({7});
  const Dropout dropout({0.5, 1, 2, 0}, segments, RowSelection::all(segments));
  const Matrix<double> ones = Matrix<double>::Ones(7, 20);
  Matrix<double> out(7, 20), dx = Matrix<double>::Ones(7, 20);
  dropout.forward(0, rows_of(ones), rows_of(out), serial);
  dropout.backward(0, rows_of(ones), rows_of(dx), serial);
  CHECK(dx == out + ones);
}

TEST_CASE("keys tell the order of their numbers apart") {
  std::set<std::uint64_t> keys;
  for (int a = 0; a < 20; ++a)
    for (int b = 0; b < 20; ++b) keys.insert(random_key(1, a, b));
  CHECK(keys.size() == 400);
}
