#include "embedpool/core/executor.hpp"
#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;

namespace {

/// f(model, adapter, directory of the adapter) for every adapter MODEL-ADAPTER beside the designs.
template <class F>
void for_each_adapter(F&& f) {
  Index found = 0;
  for (const auto& directory : test::entries(test::golden_directory() / "designs")) {
    if (!std::filesystem::exists(directory / "adapter_config.json")) continue;
    const std::string name = directory.filename().string();
    const auto dash = name.find('-');
    CAPTURE(name);
    f(name.substr(0, dash), name.substr(dash + 1), directory);
    ++found;
  }
  CHECK(found > 0);
}

Matrix<float> last_layer(const Decoder<float>& decoder, const Batch& batch) {
  test::KeepLayers<float> kept{decoder.layers()};
  DecoderWorkspace<float> workspace;
  DefaultExecutor executor;
  decoder.forward(batch, Causal{}, kept, workspace, executor);
  return kept.layers.at(decoder.layers());
}

}  // namespace

TEST_CASE("a model with an adapter merged in has the states of its float64 reference") {
  const auto designs = io::SafetensorsFile::open(test::golden_directory() / "designs.safetensors");
  for_each_adapter([&](const std::string& model, const std::string& name, const std::filesystem::path& directory) {
    const auto base = io::load_decoder(test::golden_directory() / "models" / model);
    const auto decoder = merged(base, io::load_peft_adapter(directory, base.config()));
    const Batch batch = test::batch_of(designs, model + ".");
    const Matrix<float> reference = test::matrix<float>(
        designs.at(model + "." + name + ".causal.hidden." + std::to_string(decoder.layers())));
    CHECK(test::largest_difference(last_layer(decoder, batch), reference) < test::hidden_state_tolerance(reference));
    // B is not zero: the adapter shows.
    CHECK(test::largest_difference(last_layer(base, batch), reference) > 3 * test::hidden_state_tolerance(reference));
  });
}

TEST_CASE("merged matrices agree with their float64 reference") {
  const auto designs = io::SafetensorsFile::open(test::golden_directory() / "designs.safetensors");
  Index compared = 0, stored_matrices = 0;
  for (const auto& entry : designs.tensors()) stored_matrices += entry.first.find(".merged.") != std::string::npos;
  for_each_adapter([&](const std::string& model, const std::string& name, const std::filesystem::path& directory) {
    const auto base = io::load_decoder(test::golden_directory() / "models" / model);
    const auto decoder = merged(base, io::load_peft_adapter(directory, base.config()));
    for_each_tensor(decoder.weights(), decoder.config(), [&](const DecoderTensorPlace& place, const auto& tensor) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) {
        const auto* stored = designs.find(model + "." + name + ".merged.model." + io::hugging_face_name(place));
        if (stored == nullptr) return;
        Matrix<float> ours(tensor.rows, tensor.cols);
        for (Index n = 0; n < tensor.rows; ++n) decode_row(tensor, n, ours.row(n).data());
        // A plain float32 sum of a few products near 1 was measured at 7e-8.
        CHECK(test::largest_difference(ours, test::matrix<float>(*stored)) < 1e-6);
        ++compared;
      }
    });
  });
  CHECK(compared == stored_matrices);
  CHECK(compared > 0);
}

TEST_CASE("an adapter merges into a GGUF file's permuted rows as into the checkpoint's own") {
  const auto designs = io::SafetensorsFile::open(test::golden_directory() / "designs.safetensors");
  Index compared = 0;
  for_each_adapter([&](const std::string& model, const std::string&, const std::filesystem::path& directory) {
    const auto path = test::golden_directory() / "gguf" / (model + "-f32.gguf");
    if (!std::filesystem::exists(path)) return;
    const auto checkpoint = io::load_decoder(test::golden_directory() / "models" / model);
    const auto gguf = io::load_decoder(path);
    const auto adapter = io::load_peft_adapter(directory, checkpoint.config());
    const Batch batch = test::batch_of(designs, model + ".");
    const Matrix<float> reference = last_layer(merged(checkpoint, adapter), batch);
    CHECK(test::largest_difference(last_layer(merged(gguf, adapter), batch), reference) <
          test::hidden_state_tolerance(reference));
    ++compared;
  });
  CHECK(compared > 0);
}
