#include <doctest/doctest.h>

#include <optional>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/gather_rows.cuh"
#include "embedpool/nn/selected_rows_training.hpp"

using namespace embedpool;

namespace {

/// One-token texts and longer ones, of which some tokens at either end, in the middle, or all are selected.
struct Batch {
  explicit Batch(test::TestDevice& device) {
    const std::vector<Interval> intervals{{0, 1}, {4, 9}, {0, 3}, {0, 2}, {0, 1}, {1, 2}};
    for (const Index tokens : {1, 9, 7, 2, 1, 5}) segments.add(TextShape::bare(tokens));
    std::size_t text = 0;
    selection.emplace(segments, [&](const TextShape&) { return intervals[text++]; });
    all = all_buffer.upload(device, segments, RowSelection::all(segments));
    selected = selected_buffer.upload(device, segments, *selection);
  }
  Segments segments{};
  std::optional<RowSelection> selection{};
  cuda::PackedTextsBuffer all_buffer{}, selected_buffer{};
  cuda::PackedTexts all{}, selected{};
};

constexpr Index widths[] = {1, 31, 257, 1024};

}  // namespace

TEST_CASE_TEMPLATE("GatherRows takes the selected tokens' rows", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    const Batch batch(device);
    for (const Index width : widths) {
      CAPTURE(width);
      const auto x = test::random_elements<T>(batch.all.rows * width, 1);
      const auto wide = test::widened(x);
      std::vector<float> expected(static_cast<std::size_t>(batch.selected.rows * width));
      gather_rows(Rows<const float>(wide.data(), batch.all.rows, width), RowSelection::all(batch.segments), *batch.selection,
                  Rows<float>(expected.data(), batch.selected.rows, width));
      const test::OnDevice<T> from(device, x, batch.all.rows, width);
      const test::OnDevice<T> out(device, std::vector<T>(expected.size()), batch.selected.rows, width);
      device.launch(cuda::GatherRows<T>{from.rows(), batch.all, batch.selected, out.rows()});
      CHECK(test::widened(out.values()) == expected);
    }
  });
}

TEST_CASE_TEMPLATE("ScatterRows adds each row at its token's place", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    const Batch batch(device);
    for (const Index width : widths) {
      CAPTURE(width);
      const auto dout = test::random_elements<T>(batch.selected.rows * width, 2),
                 dx = test::random_elements<T>(batch.all.rows * width, 3);
      const auto wide = test::widened(dout);
      std::vector<float> expected = test::widened(dx);
      scatter_rows(Rows<const float>(wide.data(), batch.selected.rows, width), RowSelection::all(batch.segments), *batch.selection,
                   Rows<float>(expected.data(), batch.all.rows, width));
      for (float& value : expected) value = cuda::widened(cuda::rounded<T>(value));
      const test::OnDevice<T> from(device, dout, batch.selected.rows, width), to(device, dx, batch.all.rows, width);
      device.launch(cuda::ScatterRows<T>{from.rows(), batch.all, batch.selected, to.rows()});
      CHECK(test::widened(to.values()) == expected);
    }
  });
}

TEST_CASE_TEMPLATE("ExpandRows puts rows at their tokens' places and zeros elsewhere", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    const Batch batch(device);
    for (const Index width : widths) {
      CAPTURE(width);
      const auto x = test::random_elements<T>(batch.selected.rows * width, 4);
      std::vector<float> expected = test::widened(x);
      expected.resize(static_cast<std::size_t>(batch.all.rows * width), 1e30f);
      expand_rows(Rows<float>(expected.data(), batch.all.rows, width), RowSelection::all(batch.segments), *batch.selection);
      const test::OnDevice<T> from(device, x, batch.selected.rows, width);
      const test::OnDevice<T> out(device, test::random_elements<T>(batch.all.rows * width, 5), batch.all.rows, width);
      device.launch(cuda::ExpandRows<T>{from.rows(), batch.all, batch.selected, out.rows()});
      CHECK(test::widened(out.values()) == expected);
    }
  });
}
