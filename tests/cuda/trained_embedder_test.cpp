#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/attention/any_mask.hpp"
#include "embedpool/cuda/heads/any_head.cuh"
#include "embedpool/cuda/trained_embedder.cuh"
#include "embedpool/pooling/any_layers.hpp"
#include "train/small_training.hpp"

using namespace embedpool;

namespace {

using School = test::SmallTraining<float>;
using OnDevice = cuda::DeviceTrainedEmbedder<float, test::TestDevice, Causal, School::Pooling>;

double largest_difference(const std::vector<Matrix<float>>& a, const std::vector<Matrix<float>>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, static_cast<double>((a[i] - b[i]).cwiseAbs().maxCoeff()));
  return largest;
}

}  // namespace

TEST_CASE("a training on a device goes as on the CPU: losses, adapter and head after each step, whole or as a gradient cache") {
  test::TestDevice device;
  SerialExecutor serial;
  for (const Index chunk : {0, 5}) {
    CAPTURE(chunk);
    School expected, school;
    OnDevice on_device(device, school.model);
    Trainer reference(expected.model, InfoNCE{}, School::settings(chunk));
    Trainer trainer(on_device, InfoNCE{}, School::settings(chunk));
    for (Index step = 0; step < 3; ++step) {
      const StepReport want = reference.step(School::batch(step), serial), got = trainer.step(School::batch(step), serial);
      // Sums in float in another order; AdamW divides gradients by their size, so that a value whose gradient is nothing
      // but rounding may move by a whole rate, 0.01, either way: few do, which the mean shows.
      CHECK(got.loss == doctest::Approx(want.loss).epsilon(1e-4));
      CHECK(got.gradient_norm == doctest::Approx(want.gradient_norm).epsilon(1e-3));
    }
    CHECK(largest_difference(school.gradients(), expected.gradients()) < 2e-3);
  }
}

TEST_CASE("a head chosen at run time gives on a device what it gives on the CPU") {
  test::TestDevice device;
  SerialExecutor serial;
  using AnyPooling = Pooling<AnyLayers, AnyTokens, AnyHead>;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("llama"));
  for (const std::string_view name : AnyHead::names) {
    const std::string head_name(name);
    CAPTURE(head_name);
    AnyPooling pooling{AnyLayers::parse("all"), AnyTokens::parse("mean"), AnyHead::named(name)};
    if (name == "identity" || name == "concatenate") pooling.layers = AnyLayers::parse("last");
    if (name == "latent-attention" || name == "perceiver") continue;  // large by default; have tests of their own
    if (auto* head = std::get_if<CrossAttention>(&pooling.head.variant())) head->heads = 4;  // they divide the width, 36
    if (name == "task-query") pooling.tokens = AnyTokens::parse("mean,last@prompt");
    auto params = pooling.head.init<float>(decoder.width(), pooling.slots(decoder.layers()), 3);
    using Host = TrainedEmbedder<float, AnyMask, AnyPooling>;
    Host expected(decoder, {}, pooling, params), host(decoder, {}, pooling, params);
    cuda::DeviceTrainedEmbedder<float, test::TestDevice, AnyMask, AnyPooling> on_device(device, host);
    std::vector<TrainingText> texts;
    for (const Index tokens : {7, 3, 11}) texts.push_back({test::random_text(tokens, 61, 1), {tokens, {2, tokens}, 2}});
    const auto derivative = [](const Matrix<float>& embeddings) {
      Matrix<float> de = embeddings;
      for (Index i = 0; i < de.size(); ++i) de.data()[i] = static_cast<float>(std::cos(2.3 * static_cast<double>(i)));
      return de;
    };
    expected.embed_and_back(texts, {}, derivative, serial);
    on_device.embed_and_back(texts, {}, derivative, serial);
    std::vector<Matrix<float>> got, want;
    for (const auto& tensor : host.tensors()) got.push_back(*tensor.gradient);
    for (const auto& tensor : expected.tensors()) want.push_back(*tensor.gradient);
    double largest = 1;
    for (const auto& gradient : want) largest = std::max(largest, static_cast<double>(gradient.cwiseAbs().maxCoeff()));
    CHECK(largest_difference(got, want) < 1e-4 * largest);  // hundreds of roundings in another order
    const std::vector<Matrix<float>> one{on_device.embed(texts, {}, serial)}, other{expected.embed(texts, {}, serial)};
    CHECK(largest_difference(one, other) < 1e-4);
  }
}
