#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/head_norm_rotary.cuh"
#include "embedpool/nn/head_norm_backward.hpp"
#include "embedpool/nn/rotary_embedding.hpp"

using namespace embedpool;

namespace {

SerialExecutor executor;

/// One-token texts and a longer one, of which the selection holds a few tokens from the middle.
struct Texts {
  Texts() {
    for (const Index tokens : {1, 9, 2, 1}) segments.add(TextShape::bare(tokens));
  }
  Segments segments{};
  RowSelection all() const { return RowSelection::all(segments); }
  RowSelection pruned() const {
    return RowSelection(segments, [](const TextShape& shape) {
      return Interval{shape.tokens / 2, std::min(shape.tokens, shape.tokens / 2 + 3)};
    });
  }
};

RotaryTable<float> table_of(Index pairs) {
  std::vector<double> frequencies;
  for (Index i = 0; i < pairs; ++i)
    frequencies.push_back(std::pow(100.0, -static_cast<double>(i) / static_cast<double>(pairs)));
  return RotaryTable<float>(frequencies, 9);
}

std::vector<float> values_of(const float* values, const RotaryTable<float>& table) {
  return {values, values + table.positions() * table.pairs()};
}

/// What HeadNormRotary does to x, by the library's functions.
std::vector<float> expected_heads(std::vector<float> x, Index heads, const std::vector<float>& gain,
                                  const RowSelection& selection, const RotaryTable<float>& table, RotaryStyle style,
                                  float sign) {
  const Rows<float> rows(x.data(), selection.rows(), heads * 2 * table.pairs());
  if (!gain.empty()) head_norm(rows, heads, gain, 1e-6f, executor);
  rotate(rows, heads, selection, table, style, executor, sign);
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("HeadNormRotary norms and turns heads as the CPU does", T, float, bf16, f16) {
  const Texts texts;
  test::on_every_device([&](test::TestDevice& device) {
    for (const bool pruned : {false, true})
      for (const RotaryStyle style : {RotaryStyle::halves, RotaryStyle::interleaved})
        for (const auto& shape : {std::pair<Index, Index>{1, 2}, {3, 6}, {11, 64}, {2, 128}, {9, 40}})
          for (const bool norm : {false, true}) {
            const Index heads = shape.first, head_dim = shape.second;
            CAPTURE(pruned);
            CAPTURE(static_cast<int>(style));
            CAPTURE(head_dim);
            CAPTURE(norm);
            const RowSelection selection = pruned ? texts.pruned() : texts.all();
            cuda::PackedTextsBuffer buffer;
            const cuda::PackedTexts packed = buffer.upload(device, texts.segments, selection);
            const RotaryTable<float> table = table_of(head_dim / 2);
            const auto x = test::random_elements<T>(selection.rows() * heads * head_dim, 1);
            const auto gain = norm ? test::random_values<float>(head_dim, 2) : std::vector<float>{};
            const test::OnDevice<T> input(device, x, selection.rows(), heads * head_dim);
            const test::OnDevice<float> weight(device, gain), cosine(device, values_of(table.cosine(0), table)),
                sine(device, values_of(table.sine(0), table));
            const cuda::DeviceRotary rotary{cosine.data(), sine.data(), style};
            const float sign = norm ? 1.0f : -1.0f;
            device.launch(cuda::HeadNormRotary<T>{input.rows(), heads, norm ? weight.data() : nullptr, 1e-6f, rotary,
                                                  packed, sign});
            // One rounding of the result; in float a dozen operations and a sum of up to 128 squares.
            CHECK(test::relative_error(test::widened(input.values()),
                                       expected_heads(test::widened(x), heads, gain, selection, table, style, sign)) <=
                  test::rounding<T> + 16 * 0x1p-24);
          }
  });
}

TEST_CASE_TEMPLATE("HeadNormRotary leaves the columns beside its view alone", T, float, bf16) {
  const Texts texts;
  test::on_every_device([&](test::TestDevice& device) {
    const RowSelection selection = texts.all();
    cuda::PackedTextsBuffer buffer;
    const cuda::PackedTexts packed = buffer.upload(device, texts.segments, selection);
    const Index heads = 2, width = 32, stride = 3 * width;
    const RotaryTable<float> table = table_of(8);
    const auto x = test::random_elements<T>(selection.rows() * stride, 3);
    const test::OnDevice<T> input(device, x, selection.rows(), stride);
    const test::OnDevice<float> cosine(device, values_of(table.cosine(0), table)),
        sine(device, values_of(table.sine(0), table));
    device.launch(cuda::HeadNormRotary<T>{input.rows().middle_cols(width, width),
                                          heads,
                                          nullptr,
                                          0,
                                          {cosine.data(), sine.data(), RotaryStyle::halves},
                                          packed});
    std::vector<float> expected = test::widened(x);
    rotate(Rows<float>(expected.data() + width, selection.rows(), width, stride), heads, selection, table,
           RotaryStyle::halves, executor);
    CHECK(test::relative_error(test::widened(input.values()), expected) <= test::rounding<T> + 4 * 0x1p-24);
    const std::vector<float> got = test::widened(input.values()), before = test::widened(x);
    for (Index i = 0; i < selection.rows(); ++i)
      for (const Index j : {Index(0), width - 1, 2 * width, stride - 1})
        CHECK(got[static_cast<std::size_t>(i * stride + j)] == before[static_cast<std::size_t>(i * stride + j)]);
  });
}

TEST_CASE_TEMPLATE("HeadNormBackward is the CPU's head_norm_backward, and gives the scales", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const auto& shape : {std::pair<Index, Index>{1, 1}, {3, 7}, {11, 64}, {2, 128}, {1, 257}}) {
      const Index heads = shape.first, head_dim = shape.second;
      CAPTURE(head_dim);
      const Index rows = 3, width = heads * head_dim;
      const auto x = test::random_elements<T>(rows * width, 4), dy = test::random_elements<T>(rows * width, 5);
      const auto gain = test::random_values<float>(head_dim, 6);
      std::vector<float> expected(x.size(), 1e30f);  // is replaced
      const auto wide_x = test::widened(x), wide_dy = test::widened(dy);
      head_norm_backward(Rows<const float>(wide_x.data(), rows, width), heads, TrainedGain<float>{&gain, nullptr},
                         1e-6f, Rows<const float>(wide_dy.data(), rows, width),
                         Rows<float>(expected.data(), rows, width), executor);
      const test::OnDevice<T> input(device, x, rows, width), gradient(device, dy, rows, width);
      const test::OnDevice<float> weight(device, gain),
          scales(device, std::vector<float>(static_cast<std::size_t>(rows * heads)));
      device.launch(cuda::HeadNormBackward<T>{input.rows(), heads, weight.data(), 1e-6f, gradient.rows(),
                                              gradient.rows(), scales.data()});
      const std::vector<float> got = test::widened(gradient.values());
      if (head_dim > 1)  // one rounding of the result, and two sums over a head in float on both sides
        CHECK(test::relative_error(got, expected) <=
              test::rounding<T> + 16 * 0x1p-24 * std::sqrt(static_cast<double>(head_dim)));
      else  // the difference of two terms of the size of dy / x, which is nearly 0
        for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::abs(got[i] - expected[i]) <= 1e-4);
      std::vector<double> expected_scales;
      for (Index head = 0; head < rows * heads; ++head) {
        double squares = 0;
        for (Index j = 0; j < head_dim; ++j)
          squares += std::pow(wide_x[static_cast<std::size_t>(head * head_dim + j)], 2);
        expected_scales.push_back(1 / std::sqrt(squares / static_cast<double>(head_dim) + 1e-6));
      }
      CHECK(test::relative_error(scales.values(), expected_scales) <= 16 * 0x1p-24);
    }
  });
}
