#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "embedpool/nn/rotary_embedding.hpp"
#include "kernels/random_values.hpp"

using namespace embedpool;

TEST_CASE("a rotation turns pairs by position, in both layouts, and back") {
  // Tolerances: one product and one sum of values of size 1 to 3, in double.
  const std::vector<double> frequencies{1.0, 0.1};
  const RotaryTable<double> table(frequencies, 5);
  const Segments segments = Segments::from_offsets(std::vector<Index>{0, 2, 5});
  SerialExecutor executor;
  for (const RotaryStyle style : {RotaryStyle::halves, RotaryStyle::interleaved}) {
    auto x = test::random_values<double>(5 * 8, 8);
    const auto before = x;
    rotate(Rows<double>(x.data(), 5, 8), 2, RowSelection::all(segments), table, style, executor);
    const Index positions[] = {0, 1, 0, 1, 2};
    for (Index row = 0; row < 5; ++row)
      for (Index head = 0; head < 2; ++head)
        for (Index pair = 0; pair < 2; ++pair) {
          const Index base = row * 8 + head * 4;
          const auto a = static_cast<std::size_t>(style == RotaryStyle::halves ? base + pair : base + 2 * pair);
          const auto b = static_cast<std::size_t>(style == RotaryStyle::halves ? base + pair + 2 : base + 2 * pair + 1);
          const double angle = static_cast<double>(positions[row]) * frequencies[static_cast<std::size_t>(pair)];
          CHECK(x[a] == doctest::Approx(before[a] * std::cos(angle) - before[b] * std::sin(angle)).epsilon(1e-14));
          CHECK(x[b] == doctest::Approx(before[a] * std::sin(angle) + before[b] * std::cos(angle)).epsilon(1e-14));
        }
    rotate(Rows<double>(x.data(), 5, 8), 2, RowSelection::all(segments), table, style, executor, -1.0);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == doctest::Approx(before[i]).epsilon(1e-14));
  }
}

TEST_CASE("rows of selected tokens turn as they do among all, however many there are") {
  const std::vector<double> frequencies{1.0, 0.3, 0.1};
  const RotaryTable<float> table(frequencies, 64);
  Segments segments;
  for (const Index tokens : {40, 1, 23, 64}) segments.add(TextShape::bare(tokens));
  const auto values = test::random_values<float>(segments.rows() * 6, 9);
  SerialExecutor executor;
  auto all = values;
  rotate(Rows<float>(all.data(), segments.rows(), 6), 1, RowSelection::all(segments), table, RotaryStyle::halves, executor);

  const RowSelection last(segments, [](const TextShape& s) { return Interval{s.tokens / 2, s.tokens}; });
  std::vector<float> selected, expected;
  for (Index b = 0; b < segments.size(); ++b)
    for (Index t = last.held(b).begin; t < last.held(b).end; ++t)
      for (Index j = 0; j < 6; ++j) {
        selected.push_back(values[static_cast<std::size_t>((segments.offset(b) + t) * 6 + j)]);
        expected.push_back(all[static_cast<std::size_t>((segments.offset(b) + t) * 6 + j)]);
      }
  rotate(Rows<float>(selected.data(), last.rows(), 6), 1, last, table, RotaryStyle::halves, executor);
  CHECK(selected == expected);
}
