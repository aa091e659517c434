#include "embedpool/model/embedder.hpp"

#include <doctest/doctest.h>

#include "embedpool/pooling/aliases.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "model/random_decoder.hpp"

using namespace embedpool;

namespace {

using PerceiverTokens = Pooling<LastLayer, AllTokens, PerceiverHead>;
using PerceiverLayers = Pooling<EveryLayer, TokenMean, PerceiverHead>;
using MiddleTail = Pooling<OneLayer, SkipFirst<TokenMean>, Identity>;

template <class P>
P make_pooling() {
  P pooling;
  if constexpr (std::is_same_v<P, MiddleTail>) pooling.layers.layer = 2;
  if constexpr (std::is_same_v<typename P::Head, PerceiverHead>)
    pooling.head = {3, 2, 8, 0, std::is_same_v<P, PerceiverLayers>, Residual::latents};
  return pooling;
}

template <class P, MaskPolicy M>
Embedder<Decoder<float>, M, P> make_embedder(const Decoder<float>& decoder, const M& mask) {
  const P pooling = make_pooling<P>();
  return Embedder<Decoder<float>, M, P>(
      decoder, pooling.head.template init<float>(decoder.width(), pooling.slots(decoder.layers())), pooling, mask);
}

template <class Embedder>
Matrix<float> encode(const Embedder& embedder, const std::vector<test::Text>& texts) {
  typename Embedder::Workspace workspace;
  SerialExecutor serial;
  return embedder.encode(test::batch_of(texts), workspace, serial);
}

}  // namespace

#define EVERY_POOLING                                                                                       \
  EosLast, MeanPooling, ClsPooling, WeightedMeanPooling, InstructedMeanPooling, EchoPooling, EveryLayerMean, \
      PromptAndTextMix, MiddleTail, PerceiverTokens, PerceiverLayers

TEST_CASE_TEMPLATE("an embedding has the same bits alone, in any batch, with any number of threads", P, EVERY_POOLING) {
  for (const std::string& architecture : test::architectures()) {
    CAPTURE(architecture);
    const auto decoder = test::random_decoder<float>(test::small_config(architecture));
    const auto check = [&](const auto& mask) {
      const auto embedder = make_embedder<P>(decoder, mask);
      const auto texts = test::random_texts(decoder.config().vocabulary);
      const Matrix<float> together = encode(embedder, texts);
      const Matrix<float> reversed = encode(embedder, {texts.rbegin(), texts.rend()});
      CHECK(together.allFinite());
      CHECK(together == Matrix<float>(reversed.colwise().reverse()));
      for (std::size_t b = 0; b < texts.size(); ++b)
        CHECK(encode(embedder, {texts[b]}).row(0) == together.row(static_cast<Index>(b)));
      for (const Index workers : {2, 3}) {
        typename Decoder<float>::Workspace workspace;
        testing::ShuffledExecutor shuffled(workers);
        CHECK(embedder.encode(test::batch_of(texts), workspace, shuffled) == together);
      }
      // Real threads on one of the combinations: handing out work costs time on a busy machine.
      if (architecture == "llama" && std::is_same_v<std::remove_cvref_t<decltype(mask)>, Bidirectional>)
        CHECK(embedder.encode(test::batch_of(texts)) == together);
    };
    check(Causal{});
    check(Bidirectional{});
    check(PrefixBidirectional{});
    check(BidirectionalWindow{3});
  }
}

TEST_CASE("Causal means the window the model was trained with, and only Causal does") {
  const auto mistral = test::random_decoder<float>(test::small_config("mistral"));
  const auto texts = test::random_texts(61);
  REQUIRE(mistral.trained_window() == 4);
  const Matrix<float> trained = encode(make_embedder<EosLast>(mistral, Causal{}), texts);
  CHECK(trained == encode(make_embedder<EosLast>(mistral, CausalWindow{4}), texts));
  CHECK(trained != encode(make_embedder<EosLast>(mistral, CausalWindow{5}), texts));
  CHECK(trained != encode(make_embedder<EosLast>(mistral, CausalWindow{1000}), texts));
  // The same weights without a window: Causal is j <= i.
  DecoderConfig config = mistral.config();
  config.sliding_window = 0;
  const Decoder<float> unlimited(config, mistral.weights());
  CHECK(encode(make_embedder<EosLast>(unlimited, Causal{}), texts) ==
        encode(make_embedder<EosLast>(mistral, CausalWindow{1000}), texts));
  CHECK(encode(make_embedder<MeanPooling>(unlimited, Bidirectional{}), texts) ==
        encode(make_embedder<MeanPooling>(mistral, Bidirectional{}), texts));
}

TEST_CASE("normalisation, dimensions and the last state are what the embedder says") {
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));
  const auto texts = test::random_texts(61);
  auto embedder = make_embedder<MeanPooling>(decoder, Causal{});
  const Matrix<float> unit = encode(embedder, texts);
  for (Index b = 0; b < unit.rows(); ++b) CHECK(unit.row(b).norm() == doctest::Approx(1).epsilon(1e-6));
  embedder.finishing.normalize = false;
  const Matrix<float> raw = encode(embedder, texts);
  CHECK((raw.rowwise().normalized() - unit).cwiseAbs().maxCoeff() < 1e-6);  // a few roundings of values below 1
  embedder.finishing.dimensions = 5;
  CHECK(encode(embedder, texts) == Matrix<float>(raw.leftCols(5)));
  embedder.finishing = {37, true};
  CHECK_THROWS_AS(encode(embedder, texts), ShapeError);
  embedder.finishing = {0, false};
  embedder.last_state = LastState::raw;
  CHECK(encode(embedder, texts) != raw);
}

TEST_CASE("a calibration that changes nothing changes nothing, and one that shifts shifts") {
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));
  const auto texts = test::random_texts(61);
  auto embedder = make_embedder<EosLast>(decoder, Causal{});
  embedder.finishing.normalize = false;
  const Matrix<float> plain = encode(embedder, texts);
  Calibration<float> calibration;
  calibration.mean = Matrix<float>::Zero(1, decoder.width());
  calibration.inverse_scale = Matrix<float>::Ones(1, decoder.width());
  embedder.calibration = calibration;
  CHECK(encode(embedder, texts) == plain);
  embedder.calibration->mean = plain.row(0);
  CHECK(encode(embedder, texts).row(0).isZero());
}

TEST_CASE("an embedder refuses a pooling of layers that the model has not, and texts that cannot be read") {
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));
  using Layer = Pooling<OneLayer, LastToken, Identity>;
  CHECK_THROWS_AS((Embedder<Decoder<float>, Causal, Layer>(decoder, {}, {OneLayer{4}, {}, {}})), ShapeError);
  Batch empty_text;
  empty_text.add(std::vector<TokenId>{1, 2}, TextShape{2, {2, 2}, 2});  // nothing but the prompt
  CHECK_THROWS_AS(make_embedder<InstructedMeanPooling>(decoder, Causal{}).encode(empty_text), ShapeError);
  CHECK(make_embedder<EosLast>(decoder, Causal{}).encode(Batch{}).rows() == 0);
}

TEST_CASE("an embedder works in double") {
  const auto decoder = test::random_decoder<double>(test::small_config("qwen2"));
  const Embedder<Decoder<double>, Bidirectional, MeanPooling> embedder(decoder);
  const Matrix<double> embeddings = embedder.encode(test::batch_of(test::random_texts(61)));
  for (Index b = 0; b < embeddings.rows(); ++b) CHECK(embeddings.row(b).norm() == doctest::Approx(1).epsilon(1e-14));
}
