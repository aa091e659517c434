#include "embedpool/cuda/pooling_stream.cuh"

#include <doctest/doctest.h>

#include <limits>
#include <memory_resource>
#include <string>

#include "cuda/on_device.hpp"
#include "embedpool/pooling/heads/layer_mean.hpp"
#include "embedpool/pooling/padded.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/testing/hidden_states.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::refusal;

namespace {

constexpr Index model_layers = 3;
constexpr Index width = 12;
const LayerMean::Params<float> nothing;  // the head of the host's streams has nothing to learn

/// A calibration of normal means and scales, on the host and in device memory.
struct BothCalibrations {
  Calibration<float> host;
  test::OnDevice<float> mean, inverse_scale;

  BothCalibrations(test::TestDevice& device, Index kinds)
      : mean(device, test::random_values<float>(kinds * width, 3), kinds, width),
        inverse_scale(device, test::random_values<float>(kinds * width, 4), kinds, width) {
    host.mean = as_eigen(Rows<const float>(mean.values().data(), kinds, width));
    host.inverse_scale = as_eigen(Rows<const float>(inverse_scale.values().data(), kinds, width));
  }
  cuda::DeviceCalibration device() const { return {mean.rows(), inverse_scale.rows()}; }
};

/// The states of a batch in device memory, layer by layer, and the gradients of each, cleared.
template <class T>
struct DeviceLayers {
  std::vector<test::OnDevice<T>> states;
  std::vector<test::OnDevice<float>> dstates;
  cuda::PackedTextsBuffer memory;
  cuda::PackedTexts texts;

  DeviceLayers(test::TestDevice& device, const testing::HiddenStates<T>& host) {
    const Index rows = host.segments().rows();
    for (Index k = 0; k <= host.layers(); ++k) {
      states.emplace_back(device, std::span<const T>(host.rows(k).data, static_cast<std::size_t>(rows * width)), rows, width);
      dstates.emplace_back(device, std::vector<float>(static_cast<std::size_t>(rows * width), 0), rows, width);
    }
    texts = memory.upload(device, host.segments(), RowSelection::all(host.segments()));
  }
  Rows<const T> layer(Index k) const { return states[static_cast<std::size_t>(k)].rows(); }
  const test::OnDevice<float>& gradient(Index k) const { return dstates[static_cast<std::size_t>(k)]; }
};

/// A whole batch on both sides, with gradients: the host's head is the mean of a text's keys, so that every key of n has
/// the gradient de / n.
template <class T, class Layers, class Tokens>
void check_stream(test::TestDevice& device, const Layers& layers, const Tokens& tokens, bool calibrated) {
  const auto states = testing::HiddenStates<T>::random(testing::example_texts(), model_layers, width, 1);
  const Segments& segments = states.segments();
  const Pooling<Layers, Tokens, LayerMean> pooling{layers, tokens};
  const BothCalibrations calibration(device, pooling.slots(model_layers));
  const auto de = test::random_values<float>(segments.size() * width, 2);
  SerialExecutor executor;
  auto host = pooling.template stream<float>(nothing, segments, model_layers, width, executor,
                                             calibrated ? &calibration.host : nullptr, KeepForBackward::yes);
  for (Index k = 0; k <= model_layers; ++k)
    if (host.wants(k)) host.push(k, states.layer(k));
  host.finish();
  LayerMean::Params<float> dnothing;
  host.backward(Rows<const float>(de.data(), segments.size(), width), dnothing, executor);

  cuda::DevicePoolingStream stream(device, layers, tokens, model_layers, width,
                                   calibrated ? std::optional(calibration.device()) : std::nullopt);
  const DeviceLayers<T> on_device(device, states);
  REQUIRE(stream.last_layer() == host.last_layer());
  for (Index batch = 0; batch < 2; ++batch) {  // the second finds what the first left
    CAPTURE(batch);
    stream.begin(segments);
    for (Index k = model_layers; k >= 0; --k)
      if (stream.wants(k)) stream.push(k, on_device.layer(k), on_device.texts);
    const cuda::DeviceKeys keys = stream.keys();
    CHECK(keys.texts == segments.size());
    CHECK(keys.kinds == pooling.slots(model_layers));
    std::vector<float> got(static_cast<std::size_t>(keys.rows.rows * width));
    std::vector<Index> kind(static_cast<std::size_t>(keys.rows.rows)), first(static_cast<std::size_t>(keys.texts + 1));
    device.copy_out(got.data(), keys.rows.data, static_cast<Index>(got.size() * sizeof(float)));
    device.copy_out(kind.data(), keys.kind, static_cast<Index>(kind.size() * sizeof(Index)));
    device.copy_out(first.data(), keys.first_key, static_cast<Index>(first.size() * sizeof(Index)));
    device.wait();
    std::vector<float> expected, dkeys;
    std::vector<Index> expected_kind, expected_first{0};
    Index longest = 0;
    for (Index b = 0; b < segments.size(); ++b) {
      const Keys<float> text = host.keys(b);
      for (Index k = 0; k < text.rows.rows; ++k) {
        const std::span<const float> key = text.rows.row(k);
        expected.insert(expected.end(), key.begin(), key.end());
        for (Index j = 0; j < width; ++j)
          dkeys.push_back(de[static_cast<std::size_t>(b * width + j)] / static_cast<float>(text.rows.rows));
      }
      expected_kind.insert(expected_kind.end(), text.slot.begin(), text.slot.end());
      expected_first.push_back(expected_first.back() + text.rows.rows);
      longest = std::max(longest, text.rows.rows);
    }
    CHECK(kind == expected_kind);
    CHECK(first == expected_first);
    CHECK(keys.longest == longest);
    CHECK(test::relative_error(got, expected) <= 16 * 0x1p-24);  // a UnitTokenMean of twelve tokens in float on the host

    const Rows<float> above = stream.begin_backward();
    REQUIRE(above.rows == static_cast<Index>(dkeys.size()) / width);
    std::vector<float> cleared(dkeys.size(), 1);
    device.copy_out(cleared.data(), above.data, static_cast<Index>(cleared.size() * sizeof(float)));
    device.wait();
    CHECK(cleared == std::vector<float>(dkeys.size(), 0));
    device.copy_in(above.data, dkeys.data(), static_cast<Index>(dkeys.size() * sizeof(float)));
    for (Index k = model_layers; k >= 0; --k)
      if (stream.wants(k)) {
        std::vector<float> gradient(static_cast<std::size_t>(segments.rows() * width), 0);
        const Rows<float> below = on_device.gradient(k).rows();
        host.backward_layer(k, states.layer(k), Rows<float>(gradient.data(), segments.rows(), width), executor);
        device.clear(below.data, below.rows * below.cols * Index(sizeof(float)));
        stream.backward_layer(k, on_device.layer(k), on_device.texts, below);
        CHECK(test::relative_error(on_device.gradient(k).values(), gradient) <= 16 * 0x1p-24);
      }
  }
}

template <class Layers>
void check_layers(const Layers& layers) {
  using TwoReaders = Both<LastToken, PromptExcluded<TokenMean>>;
  test::on_every_device([&](test::TestDevice& device) {
    for (const bool calibrated : {false, true}) {
      check_stream<float>(device, layers, TokenMean{}, calibrated);
      check_stream<bf16>(device, layers, TwoReaders{}, calibrated);
      check_stream<f16>(device, layers, Both<PromptOnly<UnitTokenMean>, AllTokens>{}, calibrated);
      check_stream<bf16>(device, layers, AnyTokens::parse("max,mean@second-copy"), calibrated);
    }
  });
}

/// Memory that counts what is taken.
struct Counting : std::pmr::memory_resource {
  Index taken = 0;
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    ++taken;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

TEST_CASE("a stream on a device gives the host's keys and gradients, whatever layers it reads") {
  SUBCASE("the last") { check_layers(LastLayer{}); }
  SUBCASE("every") { check_layers(EveryLayer{}); }
  SUBCASE("one") { check_layers(OneLayer{1}); }
  SUBCASE("a range") { check_layers(LayerRange{0, 2}); }
  SUBCASE("a list") { check_layers(LayerList{{3, 0}}); }
}

TEST_CASE("a padded buffer on the device is read in place, and padding never") {
  test::on_every_device([](test::TestDevice& device) {
    Segments texts;
    for (const Index tokens : {1, 7, 4}) texts.add(TextShape::bare(tokens));
    const auto states = testing::HiddenStates<bf16>::random(texts, 1, width, 5);
    const Index columns = 9;
    std::vector<signed char> mask(static_cast<std::size_t>(texts.size() * columns), 0);
    std::vector<bf16> buffer(mask.size() * static_cast<std::size_t>(width),
                             testing::element<bf16>(std::numeric_limits<double>::quiet_NaN()));
    for (Index b = 0; b < texts.size(); ++b)
      for (Index t = 0; t < texts.shape(b).tokens; ++t) {
        const Index place = b * columns + columns - texts.shape(b).tokens + t;  // padded on the left
        mask[static_cast<std::size_t>(place)] = 1;
        std::copy_n(states.rows(1).row_data(texts.offset(b) + t), width, buffer.data() + place * width);
      }
    const PaddedBatch batch(Rows<const signed char>(mask.data(), texts.size(), columns),
                            PaddedLayout::contiguous(columns, width));
    const test::OnDevice<bf16> padded(device, buffer, texts.size() * columns, width);
    const LayerStates<bf16> layer = batch.layer<bf16>(padded.data());
    cuda::DeviceBuffer<Index> index;
    cuda::PackedTextsBuffer memory;
    const cuda::PackedTexts packed = memory.upload(device, batch.segments(), *layer.selection);
    const DeviceLayers<bf16> in_rows(device, states);

    cuda::DevicePoolingStream stream(device, LastLayer{}, Both<TokenMean, LastToken>{}, 1, width);
    const auto keys = [&](auto&& push) {
      stream.begin(batch.segments());
      push();
      std::vector<float> values(static_cast<std::size_t>(stream.keys().rows.rows * width));
      device.copy_out(values.data(), stream.keys().rows.data, static_cast<Index>(values.size() * sizeof(float)));
      device.wait();
      return values;
    };
    const auto from_padded = keys([&] { stream.push(1, layer.buffer, packed, index.upload(device, layer.index)); });
    CHECK(from_padded == keys([&] { stream.push(1, in_rows.layer(1), in_rows.texts); }));
  });
}

TEST_CASE("a text has the same keys to the bit alone and in a batch") {
  test::on_every_device([](test::TestDevice& device) {
    const auto states = testing::HiddenStates<bf16>::random(testing::example_texts(), 1, width, 6);
    cuda::DevicePoolingStream stream(device, LastLayer{}, Both<TokenMean, UnitTokenMean>{}, 1, width);
    const auto keys = [&](const testing::HiddenStates<bf16>& batch) {
      const DeviceLayers<bf16> layers(device, batch);
      stream.begin(batch.segments());
      stream.push(1, layers.layer(1), layers.texts);
      std::vector<float> values(static_cast<std::size_t>(stream.keys().rows.rows * width));
      device.copy_out(values.data(), stream.keys().rows.data, static_cast<Index>(values.size() * sizeof(float)));
      device.wait();
      return values;
    };
    const std::vector<float> together = keys(states);
    for (Index b = 0; b < states.segments().size(); ++b) {
      const auto first = together.begin() + b * 2 * width;
      CHECK(keys(states.batch_of({b})) == std::vector<float>(first, first + 2 * width));
    }
  });
}

TEST_CASE("a push that does not fit is refused by name") {
  test::on_every_device([](test::TestDevice& device) {
    const auto states = testing::HiddenStates<float>::random(testing::example_texts(), model_layers, width, 1);
    const DeviceLayers<float> layers(device, states);
    cuda::DevicePoolingStream stream(device, LayerRange{1, 2}, TokenMean{}, model_layers, width);
    const auto push = [&](Index k) { stream.push(k, layers.layer(k), layers.texts); };
    CHECK(refusal([&] { push(1); }) == "Pooling: push comes after begin");
    stream.begin(states.segments());
    CHECK(refusal([&] { push(3); }) == "Pooling: layer 3 is not one that is read");
    CHECK(refusal([&] { stream.push(4, layers.layer(3), layers.texts); }) == "Pooling: layer must be in [0, 3], got 4");
    CHECK(refusal([&] { stream.push(1, layers.layer(1).middle_cols(0, 4), layers.texts); }) ==
          "Pooling: layer 1: width must be 12, got 4");
    CHECK(refusal([&] { stream.push(1, layers.layer(1).middle_rows(0, 33), layers.texts); }) ==
          "Pooling: layer 1: rows must be 34, got 33");
    CHECK(refusal([&] { stream.push(1, layers.layer(1), cuda::PackedTexts{}); }) ==
          "Pooling: layer 1: texts must be 5, got 0");
    push(1);
    CHECK(refusal([&] { push(1); }) == "Pooling: layer 1 was pushed twice");
    CHECK(refusal([&] { stream.keys(); }) == "Pooling: layer 2 of 3 was never pushed");
    CHECK(refusal([&] { stream.begin_backward(); }) == "Pooling: backward comes after keys()");
    push(2);
    stream.keys();
    const Rows<float> below = layers.gradient(1).rows();
    const auto backward = [&](Rows<float> dstates) { stream.backward_layer(1, layers.layer(1), layers.texts, dstates); };
    CHECK(refusal([&] { backward(below); }) == "Pooling: backward_layer comes after begin_backward");
    CHECK(refusal([&] { backward(below.middle_cols(0, 4)); }) ==
          "Pooling: backward_layer: columns of dstates must be 12, got 4");
    CHECK(refusal([&] { backward(below.middle_rows(0, 4)); }) ==
          "Pooling: backward_layer: rows of dstates must be 34, got 4");

    const auto last = [](const TextShape& shape) { return Interval{shape.tokens - 1, shape.tokens}; };
    CHECK(refusal([&] { stream.check(RowSelection(states.segments(), last)); }) ==
          "Pooling: text 1: first token held must be in [0, 0], got 6");
    CHECK(refusal([&] { stream.check(RowSelection::all(states.segments())); }) == "");
    CHECK(refusal([&] { stream.check(RowSelection::all(Segments{})); }) ==
          "Pooling: texts of the selection must be 5, got 0");
    CHECK(refusal([&] {
            cuda::DevicePoolingStream(device, LastLayer{}, TokenMean{}, 1, width, cuda::DeviceCalibration{});
          }) == "Calibration: rows of mean must be 1, got 0");
  });
}

TEST_CASE("a batch that cannot be read is refused, and the one before it is over") {
  test::on_every_device([](test::TestDevice& device) {
    const auto states = testing::HiddenStates<float>::random(testing::example_texts(), 1, width, 1);
    const DeviceLayers<float> layers(device, states);
    cuda::DevicePoolingStream stream(device, LastLayer{}, PromptExcluded<TokenMean>{}, 1, width);
    stream.begin(states.segments());
    Segments no_text;
    no_text.add({3, {3, 3}, 3});
    CHECK_THROWS_AS(stream.begin(no_text), ShapeError);
    CHECK(refusal([&] { stream.push(1, layers.layer(1), layers.texts); }) == "Pooling: push comes after begin");
  });
}

#ifndef EMBEDPOOL_TEST_ON_GPU
TEST_CASE("a stream takes no memory for a batch that is not larger than one before") {
  Counting memory;
  cuda::HostDevice device(cuda::RunOrder::rising, &memory);
  const auto states = testing::HiddenStates<bf16>::random(testing::example_texts(), model_layers, width, 1);
  const auto fewer = states.batch_of({1, 2});
  const DeviceLayers<bf16> layers(device, states), fewer_layers(device, fewer);
  cuda::DevicePoolingStream stream(device, EveryLayer{}, Both<UnitTokenMean, AllTokens>{}, model_layers, width);
  const auto batch = [&](const Segments& segments, const DeviceLayers<bf16>& at) {
    stream.begin(segments);
    for (Index k = 1; k <= model_layers; ++k) stream.push(k, at.layer(k), at.texts);
    stream.keys();
    stream.begin_backward();
    for (Index k = model_layers; k >= 1; --k) stream.backward_layer(k, at.layer(k), at.texts, at.gradient(k).rows());
  };
  batch(states.segments(), layers);
  const Index taken = memory.taken;
  batch(fewer.segments(), fewer_layers);
  batch(states.segments(), layers);
  CHECK(memory.taken == taken);
}
#endif
