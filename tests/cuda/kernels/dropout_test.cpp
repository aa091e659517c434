#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/dropout.cuh"
#include "embedpool/nn/dropout.hpp"

using namespace embedpool;

namespace {

SerialExecutor executor;

Segments texts_of(std::initializer_list<Index> lengths) {
  Segments segments;
  for (const Index n : lengths) segments.add(TextShape::bare(n));
  return segments;
}

/// All tokens, or the last two of every text.
RowSelection selected(const Segments& segments, bool pruned) {
  return RowSelection(segments, [&](const TextShape& shape) {
    return Interval{pruned ? std::max(Index(0), shape.tokens - 2) : 0, shape.tokens};
  });
}

cuda::DeviceDropout on_device(const DropoutKey& key, const cuda::PackedTexts& texts) {
  return {key.rate, key.seed, key.step, key.first_text, texts};
}

}  // namespace

TEST_CASE_TEMPLATE("dropout's coins are the CPU's to the bit, of any tokens", T, float, bf16, f16) {
  const Segments segments = texts_of({1, 5, 2, 1});
  test::on_every_device([&](test::TestDevice& device) {
    for (const bool pruned : {false, true})
      for (const DropoutKey& key : {DropoutKey{0.1, 7, 3, 0}, DropoutKey{0.5, 8, 1, 11}, DropoutKey{0.999, 1, 0, 2}})
        for (const Index width : {1, 31, 264}) {
          CAPTURE(pruned);
          CAPTURE(key.rate);
          CAPTURE(width);
          const RowSelection selection = selected(segments, pruned);
          const Index rows = selection.rows(), place = 5;
          const auto x = test::random_elements<T>(rows * width, 1), before = test::random_elements<T>(rows * width, 2);
          const auto wide = test::widened(x);
          std::vector<float> forward(x.size()), backward = test::widened(before), into_floats = backward;
          const Dropout dropout(key, segments, selection);
          dropout.forward(place, Rows<const float>(wide.data(), rows, width), Rows<float>(forward.data(), rows, width),
                          executor);
          dropout.backward(place, Rows<const float>(wide.data(), rows, width),
                           Rows<float>(backward.data(), rows, width), executor);
          cuda::PackedTextsBuffer buffer;
          const cuda::DeviceDropout coins = on_device(key, buffer.upload(device, segments, selection));
          const test::OnDevice<T> values(device, x, rows, width), gradient(device, x, rows, width),
              dx(device, before, rows, width);
          const test::OnDevice<float> float_dx(device, into_floats, rows, width);
          device.launch(cuda::DropoutForward<T>{values.rows(), coins.at(place), values.rows()});  // in place
          device.launch(cuda::DropoutBackward<T>{gradient.rows(), coins.at(place), dx.rows()});
          device.launch(cuda::DropoutBackward<T, float>{gradient.rows(), coins.at(place), float_dx.rows()});
          const std::vector<float> got = test::widened(values.values());
          bool same_coins = true;
          for (std::size_t i = 0; i < got.size(); ++i) same_coins = same_coins && (got[i] == 0) == (forward[i] == 0);
          CHECK(same_coins);
          CHECK(test::relative_error(got, forward) <= test::rounding<T>);
          // A product and a sum, perhaps fused.
          CHECK(test::relative_error(test::widened(dx.values()), backward) <= test::rounding<T> + 0x1p-23);
          CHECK(test::relative_error(float_dx.values(), backward) <= 0x1p-23);
        }
  });
}

TEST_CASE("dropout of rate 0 is not active") {
  CHECK(!cuda::DeviceDropout{}.active());
  CHECK(cuda::DeviceDropout{0.1, 0, 0, 0, {}}.active());
}
