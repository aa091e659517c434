#include "cuda/on_device.hpp"
#include "embedpool/cuda/device_embedder.cuh"
#include "embedpool/cuda/heads/identity.cuh"
#include "embedpool/cuda/heads/perceiver_head.cuh"
#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "model/golden_designs.hpp"

using namespace embedpool;

namespace {

Matrix<float> run_design(test::TestDevice& device, Index design, const Decoder<float>& decoder, const std::string& model,
                         const Batch& batch) {
  Matrix<float> embeddings;
  test::with_design<float>(design, model, decoder.width(), [&](auto mask, auto pooling, const auto& params) {
    const Embedder<Decoder<float>, decltype(mask), decltype(pooling)> embedder(decoder, params, pooling, mask);
    cuda::DeviceEmbedder<float, test::TestDevice, decltype(mask), decltype(pooling)> on_device(device, embedder);
    embeddings = on_device.encode(batch);
  });
  return embeddings;
}

}  // namespace

TEST_CASE("the five designs on a device agree with their float64 references") {
  test::TestDevice device;
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "designs.safetensors");
  const auto models = io::Json::parse(file.metadata().at("models"));
  Index compared = 0;
  for (auto entry = models.begin(); entry != models.end(); ++entry) {
    const std::string model = entry.key();
    const io::Json& variants = entry->at("variants");
    CAPTURE(model);
    const auto base = io::load_decoder(test::golden_directory() / "models" / model);
    const Batch batch = test::batch_of(file, model + ".");
    for (auto adapter = variants.begin(); adapter != variants.end(); ++adapter) {
      const std::string variant = adapter.key();
      CAPTURE(variant);
      const auto folder = test::golden_directory() / "designs" / (model + "-" + variant);
      const auto decoder = variant == "plain" ? base : merged(base, io::load_peft_adapter(folder, base.config()));
      for (const Index design : adapter->get<std::vector<Index>>()) {
        CAPTURE(design);
        const std::string name = model + "." + variant + ".design" + std::to_string(design) + ".out";
        // Unit vectors; plain float32 was measured at 6e-7.
        CHECK(test::largest_difference(run_design(device, design, decoder, model, batch), test::matrix<float>(file.at(name))) < 1e-5);
        ++compared;
      }
    }
  }
  CHECK(compared > 0);
}
