#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/model/embedder.hpp"
#include "model/golden_designs.hpp"

using namespace embedpool;

namespace {

Matrix<float> run_design(Index design, const Decoder<float>& decoder, const std::string& model, const Batch& batch) {
  Matrix<float> embeddings;
  test::with_design<float>(design, model, decoder.width(), [&](auto mask, auto pooling, const auto& params) {
    using Model = Embedder<Decoder<float>, decltype(mask), decltype(pooling)>;
    embeddings = Model(decoder, params, pooling, mask).encode(batch);
  });
  return embeddings;
}

}  // namespace

TEST_CASE("the five designs, plain and with adapters merged, agree with their float64 references") {
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
      const auto decoder =
          variant == "plain" ? base
                             : merged(base, io::load_peft_adapter(
                                                test::golden_directory() / "designs" / (model + "-" + variant), base.config()));
      for (const Index design : adapter->get<std::vector<Index>>()) {
        CAPTURE(design);
        const std::string name = model + "." + variant + ".design" + std::to_string(design) + ".out";
        // Unit vectors; plain float32 was measured at 6e-7.
        CHECK(test::largest_difference(run_design(design, decoder, model, batch), test::matrix<float>(file.at(name))) < 1e-5);
        ++compared;
      }
    }
  }
  CHECK(compared > 0);
}
