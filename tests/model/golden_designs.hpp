#pragma once
// The five designs as the golden files have them: heads of the paper's released code on any decoder.
#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/pooling/aliases.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "model/golden_support.hpp"

namespace embedpool::test {

using LastKey = Pooling<LastLayer, LastToken, PerceiverHead>;       // design 2: one key
using LastTokens = Pooling<EveryLayer, LastToken, PerceiverHead>;   // design 3: L keys
using EveryRow = Pooling<LastLayer, AllTokens, PerceiverHead>;      // design 4: n keys
using LayerMeans = Pooling<EveryLayer, TokenMean, PerceiverHead>;   // design 5: L keys

/// The head of a design's file and its parameters.
template <Real S = float>
struct StoredHead {
  PerceiverHead head{};
  PerceiverHead::Params<S> params{};

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
    params = head.init<S>(width, table != nullptr ? table->shape.front() : 1);
    Index filled = 0;
    PerceiverHead::for_each(params, [&](const std::string& name, Matrix<S>& tensor) {
      const Matrix<S> stored = matrix<S>(file.at(name));
      CAPTURE(name);
      REQUIRE(stored.size() == tensor.size());
      tensor = Eigen::Map<const Matrix<S>>(stored.data(), tensor.rows(), tensor.cols());
      ++filled;
    });
    CHECK(filled == static_cast<Index>(file.tensors().size()));
  }
};

/// The head of a design (2 to 5) on a model of the golden files.
template <Real S = float>
StoredHead<S> stored_head(Index design, const std::string& model, Index width) {
  const std::string kind = design == 2 || design == 4 ? "last" : "multi";
  return {golden_directory() / "designs" / (model + "-head-" + kind + ".safetensors"), width};
}

/// Calls f(mask, pooling, params) with what a design is made of; design 1 has no head.
template <Real S, class F>
void with_design(Index design, const std::string& model, Index width, F&& f) {
  if (design == 1) return f(Causal{}, EosLast{}, typename EosLast::Params<S>{});
  const StoredHead<S> stored = stored_head<S>(design, model, width);
  const auto pooled = [&](auto pooling) {
    pooling.head = stored.head;
    return pooling;
  };
  switch (design) {
    case 2: return f(Causal{}, pooled(LastKey{}), stored.params);
    case 3: return f(Causal{}, pooled(LastTokens{}), stored.params);
    case 4: return f(Bidirectional{}, pooled(EveryRow{}), stored.params);
    case 5: return f(Bidirectional{}, pooled(LayerMeans{}), stored.params);
    default: FAIL("no design ", design);
  }
}

/// Every embedding of the file of designs against run(design, decoder, model, batch), adapters merged.
template <class Run>
void check_golden_designs(const Run& run) {
  const auto file = io::SafetensorsFile::open(golden_directory() / "designs.safetensors");
  const auto models = io::Json::parse(file.metadata().at("models"));
  Index compared = 0;
  for (auto entry = models.begin(); entry != models.end(); ++entry) {
    const std::string model = entry.key();
    const io::Json& variants = entry->at("variants");
    CAPTURE(model);
    const auto base = io::load_decoder(golden_directory() / "models" / model);
    const Batch batch = batch_of(file, model + ".");
    for (auto adapter = variants.begin(); adapter != variants.end(); ++adapter) {
      const std::string variant = adapter.key();
      CAPTURE(variant);
      const auto folder = golden_directory() / "designs" / (model + "-" + variant);
      const auto decoder = variant == "plain" ? base : merged(base, io::load_peft_adapter(folder, base.config()));
      for (const Index design : adapter->template get<std::vector<Index>>()) {
        CAPTURE(design);
        const std::string name = model + "." + variant + ".design" + std::to_string(design) + ".out";
        // Unit vectors; plain float32 was measured at 6e-7.
        CHECK(largest_difference(run(design, decoder, model, batch), matrix<float>(file.at(name))) < 1e-5);
        ++compared;
      }
    }
  }
  CHECK(compared > 0);
}

}  // namespace embedpool::test
