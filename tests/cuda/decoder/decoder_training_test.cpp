#include <doctest/doctest.h>

#include "cuda/decoder/device_sink.hpp"
#include "embedpool/cuda/decoder/decoder_training.cuh"
#include "embedpool/cuda/trained_rows.hpp"
#include "embedpool/model/decoder_training.hpp"
#include "model/random_adapter.hpp"
#include "model/random_decoder.hpp"

using namespace embedpool;

namespace {

using Gradients = DecoderGradients<float>;

Batch ragged_batch(Index vocabulary) {
  std::vector<test::Text> texts;
  for (const Index tokens : {7, 1, 18}) texts.push_back(test::random_text(tokens, vocabulary, static_cast<unsigned>(tokens)));
  return test::batch_of(texts);
}

template <MaskPolicy M>
Gradients on_host(const Decoder<float>& decoder, const LoraAdapter<float>& adapter, const Batch& batch, const M& mask,
                  test::WeightedSink<float> sink, const DropoutKey& dropout, LastState last_state) {
  Gradients gradients = Gradients::of(adapter);
  DecoderTraining<float> training;
  SerialExecutor executor;
  const TrainedDecoder<float> model{decoder, adapter, &gradients};
  training.forward(model, batch, mask, sink, executor, dropout, last_state);
  training.backward(model, batch, mask, sink, executor);
  return gradients;
}

template <cuda::DeviceElement T, MaskPolicy M>
Gradients on_device(test::TestDevice& device, const Decoder<float>& decoder, const LoraAdapter<float>& adapter,
                    const Batch& batch, const M& mask, const test::WeightedSink<float>& wanted, const DropoutKey& dropout,
                    LastState last_state, Index kept = cuda::DeviceDecoderTraining<T, test::TestDevice>::every_block) {
  const auto pass = [&]<class Model>(Model& model, auto& training, const auto& device_adapter) {
    test::DeviceWeightedSink sink(device, batch.segments(), wanted);
    training.forward(model, device_adapter, batch, mask, sink, dropout, last_state);
    training.backward(model, device_adapter, mask, sink);
  };
  cuda::DeviceDecoder<T, test::TestDevice> model(device, decoder);
  cuda::DeviceAdapter<T> device_adapter(device, decoder, adapter);
  cuda::DeviceDecoderTraining<T, test::TestDevice> training(kept);
  pass(model, training, device_adapter);
  device_adapter.clear_gradients(device);
  pass(model, training, device_adapter);  // memory of the step before leaves no trace
  Gradients gradients = Gradients::of(adapter);
  const auto tensors = device_adapter.tensors();
  for (std::size_t i = 0; i < gradients.lora.size(); ++i) {
    tensors[2 * i].copy_out(device, tensors[2 * i].gradient.data, gradients.lora[i].a);
    tensors[2 * i + 1].copy_out(device, tensors[2 * i + 1].gradient.data, gradients.lora[i].b);
  }
  return gradients;
}

std::vector<float> all(const Gradients& gradients) {
  std::vector<float> values;
  for (const auto& [a, b, scale] : gradients.lora) {
    values.insert(values.end(), a.data(), a.data() + a.size());
    values.insert(values.end(), b.data(), b.data() + b.size());
  }
  return values;
}

/// Sums over tokens, layers and widths in float on both sides: hundreds of roundings of 6e-8; wrong code errs by 0.1.
constexpr double float_error = 5e-5;

template <MaskPolicy M>
void check(const std::string& architecture, const M& mask, const test::WeightedSink<float>& sink, const DropoutKey& dropout,
           LastState last_state, Index kept, Index from_layer = 0) {
  CAPTURE(architecture);
  test::TestDevice device;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config(architecture));
  const LoraAdapter<float> adapter = test::random_adapter<float>(decoder.config(), 3, 0.3, from_layer);
  const Batch batch = ragged_batch(decoder.config().vocabulary);
  const Gradients expected = on_host(decoder, adapter, batch, mask, sink, dropout, last_state);
  const Gradients got = on_device<float>(device, decoder, adapter, batch, mask, sink, dropout, last_state, kept);
  for (std::size_t i = 0; i < got.lora.size(); ++i) {
    const std::string place = describe(adapter.entries[i].place);
    CAPTURE(place);
    const auto one = [&](const Gradients& gradients) { return all({{gradients.lora[i]}, {}}); };
    CHECK(test::relative_error(one(got), one(expected)) < float_error);
  }
}

constexpr Index every_block = 1000;

}  // namespace

TEST_CASE("gradients of every LoRA pair on a device are the CPU's, in every architecture") {
  for (const std::string& architecture : test::dense_architectures())
    check(architecture, Causal{}, {{0, 1, 2, 3}}, {}, LastState::normalized, every_block);
}

TEST_CASE("gradients on a device are the CPU's with a pruned last layer, dropout, other masks and blocks computed again") {
  test::WeightedSink<float> last{{3}}, some{{1, 3}};
  last.last_tokens = some.last_tokens = true;
  check("qwen3", Bidirectional{}, last, {}, LastState::normalized, every_block);
  check("llama-gguf", PrefixBidirectional{}, some, {0.25, 7, 3, 5}, LastState::raw, 1);
  check("qwen2", CausalWindow{3}, some, {0.5, 8}, LastState::normalized, 0);
  check("llama", Causal{}, last, {}, LastState::normalized, every_block, 1);  // nothing trained in the first block
}

TEST_CASE_TEMPLATE("gradients in low precision point where those in float do", T, bf16, f16) {
  test::TestDevice device;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("llama"));
  const LoraAdapter<float> adapter = test::random_adapter<float>(decoder.config(), 3);
  const Batch batch = ragged_batch(decoder.config().vocabulary);
  const test::WeightedSink<float> every{{1, 2, 3}};
  const auto expected = all(on_host(decoder, adapter, batch, Causal{}, every, {}, LastState::normalized));
  const auto got = all(on_device<T>(device, decoder, adapter, batch, Causal{}, every, {}, LastState::normalized));
  double product = 0, a = 0, b = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    product += double(got[i]) * double(expected[i]);
    a += double(got[i]) * double(got[i]);
    b += double(expected[i]) * double(expected[i]);
  }
  // Relative errors e of independent signs leave a cosine of 1 - e^2 / 2. On the longest way forward and back stand 84
  // roundings of weights and activations; norms and softmax make an error up to four times larger. A term that is missing
  // or has a wrong factor moves the cosine by 0.05 and more.
  const double e = 4 * std::sqrt(84.0) * test::rounding<T>;
  CHECK(product / std::sqrt(a * b) > 1 - e * e / 2);
}

TEST_CASE("an adapter comes back from a device as it went") {
  test::TestDevice device;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("llama-gguf"));
  const LoraAdapter<float> adapter = test::random_adapter<float>(decoder.config(), 2);
  const cuda::DeviceAdapter<bf16> on_device(device, decoder, adapter);
  const auto tensors = on_device.tensors();
  REQUIRE(tensors.size() == 2 * adapter.entries.size());
  for (std::size_t i = 0; i < adapter.entries.size(); ++i) {
    Matrix<float> a, b;
    tensors[2 * i].copy_out(device, tensors[2 * i].value.data, a);
    tensors[2 * i + 1].copy_out(device, tensors[2 * i + 1].value.data, b);
    CHECK(a == adapter.entries[i].lora.a);
    CHECK(b == adapter.entries[i].lora.b);
    const Matrix<float> other = 2 * b;
    tensors[2 * i + 1].copy_in(device, other, tensors[2 * i + 1].value.data);
    tensors[2 * i + 1].copy_out(device, tensors[2 * i + 1].value.data, b);
    CHECK(b == other);
  }
}

TEST_CASE("experts are not trained on a device either") {
  test::TestDevice device;
  const Decoder<float> mixture = test::random_decoder<float>(test::small_config("mixtral"));
  CHECK_THROWS_WITH_AS(
      on_device<float>(device, mixture, {}, ragged_batch(mixture.config().vocabulary), Causal{}, {{3}}, {}, LastState::normalized),
      "training: mixtures of experts have no backward pass", ShapeError);
}
