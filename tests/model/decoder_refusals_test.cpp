#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "model/random_decoder.hpp"
#include "support/refused.hpp"

using namespace embedpool;

namespace {

/// Counts what is pushed.
struct CountingSink {
  Index last;
  Index pushes = 0;

  Index last_layer() const { return last; }
  bool wants(Index) const { return true; }
  Interval reads(const TextShape& shape) const { return {0, shape.tokens}; }
  void push(Index, const LayerStates<float>&) { ++pushes; }
};

}  // namespace

TEST_CASE("ids outside the vocabulary and layers that are not there are refused before anything is pushed") {
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));
  const auto refused = [&](const Batch& batch, Index last, const std::string& message) {
    DecoderWorkspace<float> workspace;
    SerialExecutor serial;
    CountingSink sink{last};
    CHECK(test::refusal([&] { decoder.forward(batch, Causal{}, sink, workspace, serial); }) == message);
    CHECK(sink.pushes == 0);
  };
  for (const TokenId id : {TokenId(-1), TokenId(61), std::numeric_limits<TokenId>::max()}) {
    Batch batch;
    batch.add(std::vector<TokenId>{1, 2});
    batch.add(std::vector<TokenId>{3, 4, 5, id});
    refused(batch, 3, "Decoder: text 1, position 3: token id must be in [0, 60], got " + std::to_string(id));
  }
  for (const Index last : {-1, 4})
    refused(test::batch_of({{1, 2}}), last, "Decoder: last layer must be in [0, 3], got " + std::to_string(last));
}

TEST_CASE("a decoder refuses configurations that contradict themselves and tensors that do not fit") {
  const DecoderConfig good = test::small_config("qwen3");
  const auto decoder = test::random_decoder<float>(good);
  const auto refused = [&](auto&& change, const std::string& culprit) {
    DecoderConfig config = good;
    change(config);
    test::refused<ShapeError>([&] { const Decoder<float> made(config, decoder.weights()); }, {culprit});
  };
  refused([](DecoderConfig& c) { c.width = 0; }, "width");
  refused([](DecoderConfig& c) { c.layers = -1; }, "layers");
  refused([](DecoderConfig& c) { c.heads = Index(1) << 60; }, "heads");
  refused([](DecoderConfig& c) { c.kv_heads = 3; }, "kv_heads must divide heads");
  refused([](DecoderConfig& c) { c.head_dim = 7; }, "head_dim must be even");
  refused([](DecoderConfig& c) { c.inverse_frequencies.pop_back(); }, "rotary frequencies");
  refused([](DecoderConfig& c) { c.inverse_frequencies[0] = std::nan(""); }, "rotary frequency");
  refused([](DecoderConfig& c) { c.norm_epsilon = -1; }, "norm_epsilon");
  refused([](DecoderConfig& c) { c.experts = 3; }, "experts_per_token");
  refused([](DecoderConfig& c) { c.layers = 2; }, "blocks");
  refused([](DecoderConfig& c) { c.feed_forward_width = 55; }, "block 0, gate rows");
  refused([](DecoderConfig& c) { c.vocabulary = 60; }, "embedding rows");
  refused([](DecoderConfig& c) { c.query_key_value_bias = true; }, "block 0, query bias");
  DecoderWeights<float> weights = decoder.weights();
  weights.blocks[1].attention.key_norm.clear();
  CHECK_THROWS_WITH_AS(Decoder<float>(good, weights), "Decoder: block 1, key norm values must be 14, got 0", ShapeError);
}
