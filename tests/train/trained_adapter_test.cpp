#include <doctest/doctest.h>

#include <algorithm>

#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/io/peft_adapter_writer.hpp"
#include "embedpool/model/embedder.hpp"
#include "io/temporary_folder.hpp"
#include "train/small_training.hpp"

using namespace embedpool;
using Training = test::SmallTraining<float>;

namespace {

/// A model after a few steps, and its adapter as it lies on disk.
struct TaughtAdapter {
  test::TemporaryFolder folder;
  Training trained;

  TaughtAdapter() {
    SerialExecutor serial;
    Trainer trainer(trained.model, InfoNCE{}, Training::settings());
    for (Index step = 0; step < 4; ++step) trainer.step(Training::batch(step), serial);
    io::PeftDescription description;
    description.dropout = 0.2;
    description.blocks = trained.model.decoder().layers();
    io::write_peft_adapter(trained.model.adapter, description, folder / "adapter");
  }
  LoraAdapter<float> read(const DecoderConfig& model) const { return io::load_peft_adapter<float>(folder / "adapter", model); }
};

}  // namespace

TEST_CASE("an adapter that was taught is read from its files to the bit, and embeds as the model that was taught") {
  TaughtAdapter taught;
  auto& model = taught.trained.model;
  const auto again = taught.read(model.decoder().config());
  REQUIRE(again.entries.size() == model.adapter.entries.size());
  Index moved = 0;
  for (const auto& [place, lora] : model.adapter.entries) {
    const auto same = std::find_if(again.entries.begin(), again.entries.end(),
                                   [&, &wanted = place](const auto& entry) { return entry.place == wanted; });
    REQUIRE(same != again.entries.end());
    CHECK(same->lora.a == lora.a);
    CHECK(same->lora.b == lora.b);
    CHECK(same->lora.scale == lora.scale);
    moved += (lora.b.array() != 0.02f).any() ? 1 : 0;  // where it started
  }
  CHECK(moved > 0);

  SerialExecutor serial;
  const auto texts = Training::batch(9).texts;
  const Matrix<float> expected = model.embed(texts, {}, serial);
  Training other;
  other.model.params = model.params;
  other.model.adapter = again;
  CHECK(other.model.embed(texts, {}, serial) == expected);

  // Merged, sums are made in another order: some roundings of unit vectors.
  Embedder<Decoder<float>, Causal, Training::Pooling> merged_model(merged(model.decoder(), again), model.params);
  Batch batch;
  for (const TrainingText& text : texts) batch.add(text.ids, text.shape);
  CHECK((merged_model.encode(batch) - expected).cwiseAbs().maxCoeff() < 1e-5f);
}

TEST_CASE("an adapter is refused by models of other widths, fewer blocks or other maps, by tensor") {
  const TaughtAdapter taught;
  const DecoderConfig fits = taught.trained.model.decoder().config();
  const auto refusal = [&](const DecoderConfig& model) -> std::string {
    try {
      taught.read(model);
    } catch (const FileError& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(refusal(fits) == "accepted");
  const auto names = [](const std::string& message, std::initializer_list<const char*> culprits) {
    CAPTURE(message);
    for (const char* culprit : culprits) CHECK(message.find(culprit) != std::string::npos);
  };
  DecoderConfig wider = fits;
  wider.width += 4;
  names(refusal(wider), {"adapter_model.safetensors", "lora_", "shape must be"});
  DecoderConfig shallower = fits;
  shallower.layers -= 1;
  names(refusal(shallower), {"adapter_model.safetensors", "layers.2.", "no LoRA half of a matrix of this model"});
  DecoderConfig experts = fits;
  experts.experts = 4;
  experts.experts_per_token = 2;
  names(refusal(experts), {"adapter_model.safetensors", "mlp.", "no LoRA half of a matrix of this model"});
}
