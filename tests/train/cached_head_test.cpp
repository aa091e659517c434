#include "embedpool/train/cached_head.hpp"

#include <doctest/doctest.h>

#include "embedpool/pooling/aliases.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "embedpool/testing/pooling_properties.hpp"
#include "embedpool/train/checkpoint.hpp"
#include "embedpool/train/trained_embedder.hpp"
#include "io/temporary_folder.hpp"
#include "model/random_decoder.hpp"
#include "support/refused.hpp"

using namespace embedpool;

namespace {

using Perceiver = Pooling<EveryLayer, Both<LastToken, TokenMean>, PerceiverHead>;
using RowPerceiver = Pooling<LastLayer, AllTokens, PerceiverHead>;

template <class P>
P small_pooling() {
  P pooling;
  if constexpr (requires { pooling.head.latents; }) {
    pooling.head.latents = 3;
    pooling.head.heads = 2;
    pooling.head.head_dim = 5;
    pooling.head.feed_forward = 8;
    pooling.head.layer_table = true;
  }
  return pooling;
}

template <Real S, class P>
KeyCache<S> cache_of(const P& pooling, const typename P::template Params<S>& params, const Calibration<S>* calibration,
                     std::span<const TrainingText> texts) {
  const Decoder<S> decoder = test::random_decoder<S>(test::small_config("llama"));
  Batch batch;
  for (const TrainingText& text : texts) batch.add(text.ids, text.shape);
  KeyCache<S> cache(decoder.width(), pooling.slots(decoder.layers()));
  DecoderWorkspace<S> workspace;
  SerialExecutor serial;
  add_keys(decoder, Causal{}, pooling, params, calibration, LastState::normalized, batch, cache, workspace, serial);
  return cache;
}

std::vector<TrainingText> some_texts() {
  std::vector<TrainingText> texts;
  for (Index i = 0; i < 12; ++i) {
    const Index tokens = 1 + (5 * i) % 11;
    texts.push_back({test::random_text(tokens, 61, static_cast<unsigned>(i)), TextShape::bare(tokens)});
  }
  return texts;
}

}  // namespace

TEST_CASE_TEMPLATE("a head on cached keys is taught as on the backbone itself, to the bit", P, MultiLayerMix<Causal>, Perceiver,
                   RowPerceiver) {
  SerialExecutor serial;
  const P pooling = small_pooling<P>();
  const auto params = testing::random_params<float>(pooling, {3, 36, 1});
  const auto calibration = testing::random_calibration<float>(pooling, {3, 36, 1});
  const auto texts = some_texts();
  const KeyCache<float> cache = cache_of<float>(pooling, params, &calibration, texts);
  REQUIRE(cache.size() == 12);

  CachedHead<float, typename P::Head> cached(cache, pooling.head, params);
  TrainedEmbedder<float, Causal, P> whole(test::random_decoder<float>(test::small_config("llama")), {}, pooling, params);
  whole.calibration = calibration;
  TrainingSettings settings;
  settings.schedule = {Schedule::Decay::constant, 0, 1};
  settings.head_rate = 0.01;
  Trainer fast(cached, InfoNCE{}, settings);
  Trainer slow(whole, InfoNCE{}, settings);
  ContrastiveTexts<Index> numbers;
  ContrastiveTexts<TrainingText> batch;
  numbers.queries = batch.queries = 4;
  batch.texts = texts;
  for (Index i = 0; i < 12; ++i) numbers.texts.push_back(i);
  const double before = fast.evaluate(numbers, serial);
  for (int step = 0; step < 5; ++step) {
    const StepReport a = fast.step(numbers, serial), b = slow.step(batch, serial);
    CHECK(a.loss == b.loss);
    CHECK(a.gradient_norm == b.gradient_norm);
  }
  CHECK(fast.evaluate(numbers, serial) < before);
  const auto ours = cached.tensors(), theirs = whole.tensors();
  REQUIRE(ours.size() == theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    CHECK(ours[i].name == theirs[i].name);
    CHECK(*ours[i].value == *theirs[i].value);
  }
}

TEST_CASE("a cache that was written is read again as it was, and one of other keys is refused") {
  const test::TemporaryFolder folder;
  const auto pooling = small_pooling<Perceiver>();
  const auto params = testing::random_params<float>(pooling, {3, 36, 1});
  const KeyCache<float> cache = cache_of<float>(pooling, params, nullptr, some_texts());
  cache.write("texts of a test", folder / "keys.safetensors");
  const auto again = KeyCache<float>::read("texts of a test", cache.slots(), folder / "keys.safetensors");
  REQUIRE(again.size() == cache.size());
  for (Index text = 0; text < cache.size(); ++text) {
    const Keys<float> a = cache.keys(text), b = again.keys(text);
    CHECK(as_eigen(a.rows) == as_eigen(b.rows));
    CHECK(std::equal(a.slot.begin(), a.slot.end(), b.slot.begin(), b.slot.end()));
  }
  CHECK_THROWS_AS(KeyCache<float>::read("others", cache.slots(), folder / "keys.safetensors"), FileError);

  const auto damaged = [&](const std::vector<std::int64_t>& offsets, const std::vector<std::int64_t>& kinds) {
    io::SafetensorsWriter writer;
    writer.add_metadata("description", "x");
    writer.add("keys", Matrix<float>(Matrix<float>::Ones(3, 4)));
    writer.add("offsets", {static_cast<Index>(offsets.size())}, std::span<const std::int64_t>(offsets));
    writer.add("kinds", {static_cast<Index>(kinds.size())}, std::span<const std::int64_t>(kinds));
    writer.write(folder / "damaged.safetensors");
    return KeyCache<float>::read("x", 3, folder / "damaged.safetensors").size();
  };
  CHECK(damaged({0, 1, 3}, {0, 1, 2}) == 2);
  CHECK_THROWS_AS(damaged({0, 1, 4}, {0, 1, 2}), FileError);
  CHECK_THROWS_AS(damaged({1, 3}, {0, 1, 2}), FileError);
  CHECK_THROWS_AS(damaged({0, 2, 2, 3}, {0, 1, 2}), FileError);
  CHECK_THROWS_AS(damaged({0, 5, 3}, {0, 1, 2}), FileError);
  CHECK_THROWS_AS(damaged({}, {0, 1, 2}), FileError);
  CHECK_THROWS_AS(damaged({0, 3}, {0, 1}), FileError);
  CHECK(test::refusal<FileError>([&] { damaged({0, 1, 3}, {0, 1, 3}); }).find("kinds") != std::string::npos);
  CHECK_THROWS_AS(damaged({0, 3}, {0, 1, -1}), FileError);
}

TEST_CASE("a number that is no text of the cache is refused") {
  SerialExecutor serial;
  KeyCache<float> cache(36, 1);
  const auto pooling = small_pooling<Perceiver>();
  CachedHead<float, PerceiverHead> model(cache, pooling.head, testing::random_params<float>(pooling, {3, 36, 1}));
  const std::vector<Index> texts{0};
  CHECK_THROWS_AS(model.embed(texts, {}, serial), ShapeError);
  CHECK_THROWS_AS(cache.add({}), ShapeError);
}
