#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/attention/any_mask.hpp"
#include "embedpool/cuda/heads/any_head.cuh"
#include "embedpool/cuda/info_nce_on.cuh"
#include "embedpool/cuda/trained_embedder.cuh"
#include "embedpool/pooling/any_layers.hpp"
#include "embedpool/train/checkpoint.hpp"
#include "embedpool/train/learned_scale.hpp"
#include "io/temporary_folder.hpp"
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

TEST_CASE("a training on a device goes as on the CPU: losses, gradients and values, whole or as a gradient cache") {
  test::TestDevice device;
  SerialExecutor serial;
  for (const Index chunk : {0, 5})
    for (const std::string architecture : {"qwen2", "llama-gguf"}) {  // which stores rows of q and k in another order
      CAPTURE(chunk);
      CAPTURE(architecture);
      School expected({}, architecture), school({}, architecture);
      OnDevice on_device(device, school.model);
      LearnedScale<float> expected_loss;  // learns on the host beside the device's tensors
      LearnedScale<float, cuda::InfoNceOn<test::TestDevice>> loss(cuda::InfoNceOn{device});
      auto settings = School::settings(chunk);
      // Steps proportional to gradients: with the usual 1e-8, a gradient of nothing but rounding moves its value as far as any.
      settings.optimizer.epsilon = 0.1;
      Trainer reference(expected.model, expected_loss, settings);
      Trainer trainer(on_device, loss, settings);
      const auto before = school.values();
      for (Index step = 0; step < 2; ++step) {
        const std::vector<School::Texts> batches{School::batch(step), School::batch(step + 5)};
        const StepReport want = reference.step(batches, serial), got = trainer.step(batches, serial);
        CHECK(got.loss == doctest::Approx(want.loss).epsilon(1e-4));  // sums in float in another order
        CHECK(got.gradient_norm == doctest::Approx(want.gradient_norm).epsilon(1e-3));
      }
      CHECK(trainer.steps() == 2);
      CHECK(loss.scale() == doctest::Approx(expected_loss.scale()).epsilon(1e-5));
      std::vector<Matrix<float>> summed = on_device.gradients();  // of both batches, unclipped; the host's are neither
      for (std::size_t i = 0; i < summed.size(); ++i) {
        const float clipped = expected.gradients()[i].norm() / std::max(1e-9f, summed[i].norm());
        CHECK((clipped * summed[i] - expected.gradients()[i]).cwiseAbs().maxCoeff() < 2e-3);
      }
      CHECK(school.values() == before);
      on_device.bring_back();
      const auto got = school.values(), want = expected.values();
      for (std::size_t i = 0; i < got.size(); ++i) {
        const float moved = (want[i] - before[i]).cwiseAbs().maxCoeff();
        // Gradients agree to 1e-3, as above; the factor of a mix, which cosines do not see, does not move at all.
        CHECK((got[i] - want[i]).cwiseAbs().maxCoeff() <= 1e-2 * moved);
      }
    }
}

TEST_CASE("a training that moves between devices and the CPU by its checkpoint goes on with the same bits") {
  const test::TemporaryFolder folder;
  test::TestDevice device;
  SerialExecutor serial;
  const auto path = folder / "checkpoint.safetensors";
  const auto values_after = [&](Index steps, Index stop, TrainedParts parts) {
    School school(parts, "llama-gguf");
    {
      OnDevice on_device(device, school.model);
      Trainer trainer(on_device, LearnedScale<float>{}, School::settings(5));
      for (Index step = 0; step < stop; ++step) trainer.step(School::batch(step), serial);
      write_checkpoint(trainer, "a run", path);
    }
    School other(parts, "llama-gguf");
    OnDevice on_device(device, other.model);
    Trainer trainer(on_device, LearnedScale<float>{}, School::settings(5));
    read_checkpoint(trainer, "a run", path);
    while (trainer.steps() < steps) trainer.step(School::batch(trainer.steps()), serial);
    return std::pair(trainer.update().moments(), std::vector<Matrix<float>>{*trainer.tensors()[0].value, *trainer.tensors().back().value});
  };
  for (const TrainedParts parts : {TrainedParts{true, true, false}, {false, true, false}, {true, false, false}}) {
    const auto [moments, values] = values_after(2, 0, parts);
    const auto [resumed_moments, resumed_values] = values_after(2, 1, parts);
    CHECK(values == resumed_values);
    for (std::size_t i = 0; i < moments.size(); ++i) {
      CHECK(moments[i].first == resumed_moments[i].first);
      CHECK(moments[i].second == resumed_moments[i].second);
    }
    CHECK(moments[0].second.maxCoeff() > 0);
  }
  // What the device wrote is what the CPU reads, in its order of rows.
  values_after(2, 2, {});
  School school({}, "llama-gguf"), on_cpu({}, "llama-gguf");
  OnDevice on_device(device, school.model);
  Trainer from_device(on_device, LearnedScale<float>{}, School::settings());
  Trainer from_cpu(on_cpu.model, LearnedScale<float>{}, School::settings());
  read_checkpoint(from_device, "a run", path);
  read_checkpoint(from_cpu, "a run", path);
  const auto moments = from_device.update().moments();
  for (std::size_t i = 0; i < moments.size(); ++i) CHECK(moments[i].first == from_cpu.update().moments()[i].first);
  const auto texts = School::batch(0).texts;
  CHECK((on_device.embed(texts, {}, serial) - on_cpu.model.embed(texts, {}, serial)).cwiseAbs().maxCoeff() < 1e-5);
  on_device.bring_back();
  CHECK(school.values() == on_cpu.values());
}

TEST_CASE("a loss that is no number stops a training on a device before anything is changed") {
  test::TestDevice device;
  SerialExecutor serial;
  School school;
  OnDevice on_device(device, school.model);
  struct Broken {
    double operator()(const ContrastiveBatch<float>&, const ContrastiveGradients<float>& d) const {
      d.queries(0, 0) += std::numeric_limits<float>::infinity();
      return 1;
    }
  };
  Trainer trainer(on_device, Broken{}, School::settings());
  const auto before = school.values();
  CHECK_THROWS_WITH_AS(trainer.step(School::batch(0), serial), "training: step 0, batch 0: a gradient is not finite", TrainingError);
  CHECK(trainer.steps() == 0);
  trainer.tensors();
  CHECK(school.values() == before);
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
    const std::vector<Matrix<float>> got = on_device.gradients();
    std::vector<Matrix<float>> want;
    for (const auto& tensor : expected.tensors()) want.push_back(*tensor.gradient);
    double largest = 1;
    for (const auto& gradient : want) largest = std::max(largest, static_cast<double>(gradient.cwiseAbs().maxCoeff()));
    CHECK(largest_difference(got, want) < 1e-4 * largest);  // hundreds of roundings in another order
    const std::vector<Matrix<float>> one{on_device.embed(texts, {}, serial)}, other{expected.embed(texts, {}, serial)};
    CHECK(largest_difference(one, other) < 1e-4);
  }
}
