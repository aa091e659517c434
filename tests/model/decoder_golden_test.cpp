#include "embedpool/core/executor.hpp"
#include "embedpool/io/load_decoder.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;

namespace {

/// Every stored layer under every stored mask, and the raw residual stream after the last block.
template <Real S>
void check_cases(const Decoder<S>& decoder, const io::SafetensorsFile& cases) {
  const Batch batch = test::batch_of(cases);
  typename Decoder<S>::Workspace workspace;
  DefaultExecutor executor;
  const auto masks = test::masks_of(cases);
  CHECK(!masks.empty());
  for (const std::string& name : masks) {
    CAPTURE(name);
    test::with_named_mask(name, decoder.config().sliding_window, [&](const auto& mask) {
      test::KeepLayers<S> normalized{decoder.layers()}, raw{decoder.layers()};
      decoder.forward(batch, mask, normalized, workspace, executor);
      decoder.forward(batch, mask, raw, workspace, executor, LastState::raw);
      Index compared = 0;
      for (Index layer = 0; layer <= decoder.layers(); ++layer)
        if (const auto* stored = cases.find(name + ".hidden." + std::to_string(layer))) {
          CAPTURE(layer);
          const Matrix<S> reference = test::matrix<S>(*stored);
          CHECK(test::largest_difference(normalized.layers.at(layer), reference) <
                test::hidden_state_tolerance(reference));
          ++compared;
        }
      CHECK(compared > 0);
      if (const auto* stored = cases.find(name + ".pre_norm")) {
        const Matrix<S> reference = test::matrix<S>(*stored);
        CHECK(test::largest_difference(raw.layers.at(decoder.layers()), reference) <
              test::hidden_state_tolerance(reference));
      }
    });
  }
}

void check_frequencies(const DecoderConfig& config, const io::SafetensorsFile& cases) {
  const auto* stored = cases.find("rope.inv_freq");
  if (stored == nullptr) return;
  const Matrix<double> reference = test::matrix<double>(*stored);
  REQUIRE(reference.size() == static_cast<Index>(config.inverse_frequencies.size()));
  for (Index i = 0; i < reference.size(); ++i)
    // Both sides are computed in double; powers and quotients round a few times.
    CHECK(config.inverse_frequencies[static_cast<std::size_t>(i)] ==
          doctest::Approx(reference.data()[i]).epsilon(1e-13));
}

bool is_encoder(const std::string& type) { return type == "bert" || type == "xlm-roberta" || type == "t5"; }

std::string model_type(const std::filesystem::path& directory) {
  const io::Json config = io::read_json(directory / "config.json");
  return io::JsonObject(config, directory.string()).string("model_type");
}

/// Calls f(directory) for every decoder among the golden models.
template <class F>
void for_each_decoder(F&& f) {
  Index found = 0;
  for (const auto& directory : test::entries(test::golden_directory() / "models")) {
    const std::string name = directory.filename().string();
    CAPTURE(name);
    if (is_encoder(model_type(directory))) {
      MESSAGE("skipped, an encoder: ", name);
      continue;
    }
    f(directory);
    ++found;
  }
  CHECK(found > 0);
}

}  // namespace

TEST_CASE("every layer of every model agrees with its float64 reference under every mask") {
  for_each_decoder([](const std::filesystem::path& directory) {
    const auto cases = io::SafetensorsFile::open(directory / "cases.safetensors");
    check_cases(io::load_decoder(directory), cases);
  });
}

TEST_CASE("the same in double") {
  for_each_decoder([](const std::filesystem::path& directory) {
    const auto cases = io::SafetensorsFile::open(directory / "cases.safetensors");
    check_cases(io::load_decoder<double>(directory), cases);
  });
}

TEST_CASE("rotary frequencies agree with their references, scaled where the model scales them") {
  for_each_decoder([](const std::filesystem::path& directory) {
    const auto cases = io::SafetensorsFile::open(directory / "cases.safetensors");
    check_frequencies(io::load_decoder(directory).config(), cases);
  });
}

TEST_CASE("other spellings of a model's configuration describe the same model") {
  for_each_decoder([](const std::filesystem::path& directory) {
    for (const auto& path : test::entries(directory, ".json")) {
      const std::string name = path.filename().string();
      if (name == "config.json" || !name.starts_with("config")) continue;
      CAPTURE(name);
      const auto cases = io::SafetensorsFile::open(directory / "cases.safetensors");
      const auto decoder = io::load_hugging_face_decoder(directory, name);
      check_frequencies(decoder.config(), cases);
      check_cases(decoder, cases);
    }
  });
}

TEST_CASE("every GGUF file agrees with the float64 reference of its dequantised weights") {
  Index found = 0;
  for (const auto& path : test::entries(test::golden_directory() / "gguf", ".gguf")) {
    const std::string name = path.stem().string();
    CAPTURE(name);
    // Files without cases of their own hold the weights of models/NAME bit for bit: llama-f32 those of llama.
    auto cases_path = path.parent_path() / (name + ".cases.safetensors");
    if (!std::filesystem::exists(cases_path))
      cases_path = test::golden_directory() / "models" / name.substr(0, name.rfind('-')) / "cases.safetensors";
    const auto cases = io::SafetensorsFile::open(cases_path);
    check_cases(io::load_decoder(path), cases);
    ++found;
  }
  CHECK(found > 0);
}
