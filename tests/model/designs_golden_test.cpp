#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/model/embedder.hpp"
#include "embedpool/pooling/aliases.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;

namespace {

// The five designs with the head of the paper's released code, as the golden files have them.
using LastKey = Pooling<LastLayer, LastToken, PerceiverHead>;          // design 2: one key
using LastTokens = Pooling<EveryLayer, LastToken, PerceiverHead>;      // design 3: L keys
using EveryRow = Pooling<LastLayer, AllTokens, PerceiverHead>;         // design 4: n keys
using LayerMeans = Pooling<EveryLayer, TokenMean, PerceiverHead>;      // design 5: L keys

/// The head of a design's file and its parameters.
struct StoredHead {
  PerceiverHead head{};
  PerceiverHead::Params<float> params{};

  StoredHead(const std::filesystem::path& path, Index width) {
    const auto file = io::SafetensorsFile::open(path);
    const auto number = [&](const char* key) { return static_cast<Index>(std::stoll(file.metadata().at(key))); };
    head.latents = number("num_latents");
    head.heads = number("num_cross_heads");
    head.head_dim = number("cross_dim_head");
    head.feed_forward = file.at("cross_attend_blocks.1.fn.net.2.weight").shape.back();
    const auto* table = file.find("pos_emb.weight");
    head.layer_table = table != nullptr;
    head.residual = Residual::latents;
    params = head.init<float>(width, table != nullptr ? table->shape.front() : 1);
    Index filled = 0;
    PerceiverHead::for_each(params, [&](const std::string& name, Matrix<float>& tensor) {
      const Matrix<float> stored = test::matrix<float>(file.at(name));
      CAPTURE(name);
      REQUIRE(stored.size() == tensor.size());
      tensor = Eigen::Map<const Matrix<float>>(stored.data(), tensor.rows(), tensor.cols());
      ++filled;
    });
    CHECK(filled == static_cast<Index>(file.tensors().size()));
  }
};

template <MaskPolicy M, class P>
Matrix<float> encode(const Decoder<float>& decoder, const StoredHead& stored, const Batch& batch) {
  P pooling;
  pooling.head = stored.head;
  return Embedder<Decoder<float>, M, P>(decoder, stored.params, pooling).encode(batch);
}

Matrix<float> run_design(Index design, const Decoder<float>& decoder, const std::string& model, const Batch& batch) {
  const auto directory = test::golden_directory() / "designs";
  if (design == 1) return Embedder<Decoder<float>, Causal, EosLast>(decoder).encode(batch);
  const bool one_layer = design == 2 || design == 4;
  const StoredHead stored(directory / (model + (one_layer ? "-head-last" : "-head-multi") + ".safetensors"), decoder.width());
  switch (design) {
    case 2: return encode<Causal, LastKey>(decoder, stored, batch);
    case 3: return encode<Causal, LastTokens>(decoder, stored, batch);
    case 4: return encode<Bidirectional, EveryRow>(decoder, stored, batch);
    case 5: return encode<Bidirectional, LayerMeans>(decoder, stored, batch);
    default: FAIL("no design ", design);
  }
  return {};
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
