#include <doctest/doctest.h>

#include "cuda/decoder/device_sink.hpp"
#include "embedpool/cuda/decoder/decoder.cuh"
#include "model/random_decoder.hpp"

using namespace embedpool;

namespace {

using Layers = std::map<Index, std::vector<float>>;

/// Texts shorter and longer than an attention tile; one has a single token.
Batch ragged_batch(Index vocabulary) {
  std::vector<test::Text> texts;
  for (const Index tokens : {7, 1, 67, 2}) texts.push_back(test::random_text(tokens, vocabulary, static_cast<unsigned>(tokens)));
  return test::batch_of(texts);
}

template <MaskPolicy M>
Layers on_host(const Decoder<float>& decoder, const Batch& batch, const M& mask, const test::WeightedSink<float>& wanted,
               LastState last_state = LastState::normalized) {
  test::KeepingSink sink{wanted};
  DecoderWorkspace<float> workspace;
  SerialExecutor executor;
  decoder.forward(batch, mask, sink, workspace, executor, last_state);
  return sink.layers;
}

template <cuda::DeviceElement T, MaskPolicy M>
Layers on_device(test::TestDevice& device, const Decoder<float>& decoder, const Batch& batch, const M& mask,
                 const test::WeightedSink<float>& wanted, LastState last_state = LastState::normalized) {
  cuda::DeviceDecoder<T, test::TestDevice> on_device(device, decoder);
  test::DeviceWeightedSink sink(device, batch.segments(), wanted);
  on_device.forward(batch, mask, sink, last_state);
  return sink.layers;
}

/// The largest relative error over layers that both have.
double error(const Layers& got, const Layers& expected) {
  REQUIRE(got.size() == expected.size());
  double largest = 0;
  for (const auto& [layer, values] : expected) largest = std::max(largest, test::relative_error(got.at(layer), values));
  return largest;
}

/// Sums of up to 70 values in float, over and over: a few hundred roundings of 6e-8 at most; wrong code errs by 0.1.
constexpr double float_error = 2e-5;

}  // namespace

TEST_CASE("every layer on a device is that of the CPU, in every architecture, with a pruned last layer and without") {
  test::TestDevice device;
  test::WeightedSink<float> every{{0, 1, 2, 3}};
  for (const std::string& architecture : test::architectures()) {
    CAPTURE(architecture);
    const Decoder<float> decoder = test::random_decoder<float>(test::small_config(architecture));
    const Batch batch = ragged_batch(decoder.config().vocabulary);
    for (const bool pruned : {false, true}) {
      every.last_tokens = pruned;
      CHECK(error(on_device<float>(device, decoder, batch, Causal{}, every), on_host(decoder, batch, Causal{}, every)) < float_error);
    }
  }
}

TEST_CASE("layers on a device are those of the CPU under every mask, with a pruned last layer and without, before the final norm and after") {
  test::TestDevice device;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("qwen3"));
  const Batch batch = ragged_batch(decoder.config().vocabulary);
  test::WeightedSink<float> wanted{{1, 3}};
  const auto check = [&](const auto& mask) {
    for (const bool pruned : {false, true})
      for (const LastState last_state : {LastState::normalized, LastState::raw}) {
        wanted.last_tokens = pruned;
        CHECK(error(on_device<float>(device, decoder, batch, mask, wanted, last_state),
                    on_host(decoder, batch, mask, wanted, last_state)) < float_error);
      }
  };
  check(Bidirectional{});
  check(PrefixBidirectional{});
  check(Intersection{Causal{}, BidirectionalWindow{4}});
}

TEST_CASE_TEMPLATE("low precision on a device errs no more than rounding weights and activations explains", T, bf16, f16) {
  test::TestDevice device;
  const test::WeightedSink<float> every{{1, 2, 3}};
  // Three layers of seven products, each rounded once on the way in and out, errors independent: sqrt(42) of them, times
  // the few of the largest value that the worst of 9,000 values is above the mean one.
  const double bound = 3 * std::sqrt(42.0) * test::rounding<T>;
  for (const std::string architecture : {"llama", "qwen2"}) {  // with biases
    CAPTURE(architecture);
    const Decoder<float> decoder = test::random_decoder<float>(test::small_config(architecture));
    const Batch batch = ragged_batch(decoder.config().vocabulary);
    CHECK(error(on_device<T>(device, decoder, batch, Causal{}, every), on_host(decoder, batch, Causal{}, every)) < bound);
  }
}

TEST_CASE("a text has the same bits alone and in any batch, on a device too") {
  test::TestDevice device;
  const test::WeightedSink<float> last{{3}};
  const test::Text text = test::random_text(67, 61, 5), other = test::random_text(9, 61, 6);
  for (const std::string architecture : {"llama", "mixtral"}) {
    CAPTURE(architecture);
    const Decoder<float> decoder = test::random_decoder<float>(test::small_config(architecture));
    const std::vector<float> alone = on_device<float>(device, decoder, test::batch_of({text}), Bidirectional{}, last)[3];
    std::vector<float> second = on_device<float>(device, decoder, test::batch_of({other, text}), Bidirectional{}, last)[3];
    second.erase(second.begin(), second.begin() + 9 * decoder.config().width);
    CHECK(second == alone);
  }
}

TEST_CASE("what a device decoder cannot compute is refused by name") {
  test::TestDevice device;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("llama"));
  Batch batch;
  batch.add(std::vector<TokenId>{3, 61});
  CHECK_THROWS_WITH_AS(on_device<float>(device, decoder, batch, Causal{}, {{1}}),
                       "DeviceDecoder: text 0, position 1: token id must be in [0, 60], got 61", ShapeError);
  CHECK_THROWS_AS(on_device<float>(device, decoder, ragged_batch(61), Causal{}, {{4}}), ShapeError);
}
