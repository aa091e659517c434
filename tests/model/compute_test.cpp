#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "embedpool/core/half.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/core/thread_pool.hpp"
#include "embedpool/model/lora_adapter.hpp"
#include "embedpool/nn/any_compute.hpp"
#include "embedpool/nn/packed_compute.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "model/random_decoder.hpp"
#include "support/busy_executor.hpp"

using namespace embedpool;

namespace {

/// A matrix of reals in Q8_0: blocks of 32 with the scale max|w| / 127.
WeightView in_q8_0(const WeightView& w, std::vector<std::shared_ptr<const void>>& owners) {
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(w.rows * w.cols / 32 * 34));
  const auto* values = reinterpret_cast<const float*>(w.data);
  for (Index block = 0; block < w.rows * w.cols / 32; ++block) {
    const float* from = values + block * 32;
    std::byte* to = bytes->data() + block * 34;
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::max(largest, std::abs(from[i]));
    const f16 scale = to_f16(largest / 127);
    std::memcpy(to, &scale, 2);
    for (int i = 0; i < 32; ++i) to[2 + i] = static_cast<std::byte>(std::lround(from[i] * 127 / largest));
  }
  owners.push_back(bytes);
  return {bytes->data(), Format::Q8_0, w.rows, w.cols};
}

DecoderConfig config_of_blocks(const std::string& architecture) {
  DecoderConfig config = test::small_config(architecture);
  config.width = 64, config.head_dim = 16, config.feed_forward_width = 96;
  config.inverse_frequencies = rotary_frequencies(10000, config.head_dim);
  return config;
}

/// Linear maps in Q8_0; the embedding in F32, and the third block's as well, as files with mixed formats have them.
Decoder<float> mixed_decoder(const std::string& architecture) {
  const DecoderConfig config = config_of_blocks(architecture);
  const auto reals = test::random_decoder<float>(config);
  DecoderWeights<float> weights = reals.weights();
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& tensor) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
      if (place.kind != DecoderTensor::embedding && place.layer != 2) tensor = in_q8_0(tensor, weights.keep_alive);
  });
  return {config, std::move(weights)};
}

/// The last layer of every text below another, or only some tokens of each.
struct LastStates {
  Index layers;
  bool last_token = false;
  Matrix<float> rows{};
  Index last_layer() const { return layers; }
  bool wants(Index layer) const { return layer == layers; }
  Interval reads(const TextShape& shape) const { return {last_token ? shape.tokens - 1 : 0, shape.tokens}; }
  void push(Index, const LayerStates<float>& states) {
    for (Index b = 0; b < states.segments->size(); ++b) {
      const Matrix<float> text = as_eigen(states.text(b).packed());
      const Index before = rows.rows();
      rows.conservativeResize(before + text.rows(), text.cols());
      rows.bottomRows(text.rows()) = text;
    }
  }
};

template <class D, Executor E>
Matrix<float> states(const D& decoder, const std::vector<test::Text>& texts, E& executor, bool last_token = false) {
  DecoderWorkspace<float> workspace;
  LastStates sink{decoder.layers(), last_token};
  decoder.forward(test::batch_of(texts), Causal{}, sink, workspace, executor);
  return sink.rows;
}
template <class D>
Matrix<float> states(const D& decoder, const std::vector<test::Text>& texts, bool last_token = false) {
  SerialExecutor serial;
  return states(decoder, texts, serial, last_token);
}

/// The smallest cosine between equal rows.
double least_cosine(const Matrix<float>& a, const Matrix<float>& b) {
  double least = 1;
  for (Index i = 0; i < a.rows(); ++i) {
    const Eigen::VectorXd x = a.row(i).cast<double>(), y = b.row(i).cast<double>();
    least = std::min(least, x.dot(y) / (x.norm() * y.norm()));
  }
  return least;
}

}  // namespace

TEST_CASE_TEMPLATE("in every arithmetic a text has the same bits alone, in a batch, pruned, on any executor", Compute,
                   FullPrecision, Bfloat16Compute, Int8Compute) {
  for (const std::string architecture : {"llama", "qwen2", "mixtral"}) {
    CAPTURE(architecture);
    const auto decoder = mixed_decoder(architecture).with_compute(Compute{});
    const auto texts = test::random_texts(decoder.config().vocabulary);
    const Matrix<float> together = states(decoder, texts), last = states(decoder, texts, true);
    CHECK(together.allFinite());
    Index row = 0;
    for (std::size_t b = 0; b < texts.size(); ++b) {
      CAPTURE(b);
      const Matrix<float> alone = states(decoder, {texts[b]});
      CHECK(alone == together.middleRows(row, alone.rows()));
      row += alone.rows();
      CHECK(last.row(static_cast<Index>(b)) == alone.bottomRows(1));
    }
    testing::ShuffledExecutor shuffled(3);
    CHECK(states(decoder, texts, shuffled) == together);
    ThreadPool pool(3);
    CHECK(states(decoder, texts, pool) == together);
  }
}

TEST_CASE_TEMPLATE("a thread that embeds other texts while it waits for an executor changes no bit", Compute, FullPrecision,
                   Bfloat16Compute, Int8Compute) {
  const auto decoder = mixed_decoder("llama").with_compute(Compute{});
  const Index vocabulary = decoder.config().vocabulary;
  const auto texts = test::random_texts(vocabulary);
  const std::vector<test::Text> others{test::random_text(90, vocabulary, 7), test::random_text(9, vocabulary, 8)};
  const Matrix<float> expected = states(decoder, texts), expected_of_others = states(decoder, others);
  int passes = 0, wrong = 0;
  test::BusyExecutor busy([&] {
    test::BusyExecutor nothing_else;
    ++passes;
    wrong += states(decoder, others, nothing_else) != expected_of_others;
  });
  CHECK(states(decoder, texts, busy) == expected);
  CHECK(passes > 10);
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("in every arithmetic a token changes no state before it under a causal mask", Compute, FullPrecision,
                   Bfloat16Compute, Int8Compute) {
  const auto decoder = mixed_decoder("llama").with_compute(Compute{});
  const test::Text text = test::random_text(23, decoder.config().vocabulary, 5);
  test::Text other = text;
  other[11] = static_cast<TokenId>((other[11] + 1) % decoder.config().vocabulary);
  const Matrix<float> before = states(decoder, {text}), after = states(decoder, {other});
  CHECK(before.topRows(11) == after.topRows(11));
  CHECK(before.row(11) != after.row(11));
}

TEST_CASE("states computed in bfloat16 and in 8-bit integers point where those of full precision do") {
  const auto decoder = mixed_decoder("llama");
  const auto texts = test::random_texts(decoder.config().vocabulary);
  const Matrix<float> reference = states(decoder, texts);
  // Both round a value to 8 bits: errors of 2^-9 and 2^-8 / sqrt(3) of a row's size that do not agree between values. Six
  // rounded inputs a block on the residual stream and three blocks give an angle of about sqrt(18) 2^-8, so 1 - cosine of
  // about 1.4e-4.
  for (const char* name : {"bf16", "int8"}) {
    CAPTURE(name);
    const Matrix<float> rounded = states(decoder.with_compute(AnyCompute::parse(name)), texts);
    CHECK(rounded != reference);
    CHECK(least_cosine(rounded, reference) > 0.9995);
  }
}

TEST_CASE("the arithmetic chosen at run time is that of its policy, to the bit") {
  const auto decoder = mixed_decoder("llama");
  const auto texts = test::random_texts(decoder.config().vocabulary);
  CHECK(states(decoder.with_compute(AnyCompute{}), texts) == states(decoder, texts));
  CHECK(states(decoder.with_compute(AnyCompute::parse("bf16")), texts) ==
        states(decoder.with_compute(Bfloat16Compute{}), texts));
  CHECK(states(decoder.with_compute(AnyCompute::parse("int8")), texts) ==
        states(decoder.with_compute(Int8Compute{}), texts));
  for (const char* name : {"f32", "bf16", "int8"}) CHECK(AnyCompute::parse(name).name() == name);
  CHECK_THROWS_WITH_AS(AnyCompute::parse("fp4"), "compute 'fp4': expected f32, bf16 or int8", ShapeError);
}

TEST_CASE("weights without integers are computed in full precision by the 8-bit policy") {
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));  // widths are no whole blocks either
  const auto texts = test::random_texts(decoder.config().vocabulary);
  CHECK(states(decoder.with_compute(Int8Compute{}), texts) == states(decoder, texts));
}

TEST_CASE("the router of a mixture is computed in full precision whatever the policy: no other expert is chosen") {
  const DecoderConfig config = config_of_blocks("mixtral");
  const auto reals = test::random_decoder<float>(config);
  DecoderWeights<float> weights = reals.weights();
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& tensor) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
      if (place.kind == DecoderTensor::router) tensor = in_q8_0(tensor, weights.keep_alive);
  });
  const Decoder<float> decoder(config, std::move(weights));  // only the routers have integers
  const auto texts = test::random_texts(config.vocabulary);
  CHECK(states(decoder.with_compute(Int8Compute{}), texts) == states(decoder, texts));
}

TEST_CASE("weights packed beforehand give the bits of weights decoded on the way") {
  for (const std::string architecture : {"llama", "qwen2", "mixtral"}) {
    CAPTURE(architecture);
    const auto decoder = mixed_decoder(architecture);
    const auto texts = test::random_texts(decoder.config().vocabulary);
    SerialExecutor serial;
    const PackedCompute<float> packed(decoder.weights().blocks, serial);
    CHECK(states(decoder.with_compute(packed), texts) == states(decoder, texts));
    CHECK(states(decoder.with_compute(PackedCompute<float>{}), texts) == states(decoder, texts));  // nothing packed

    LoraAdapter<float> adapter;  // of a map that is packed together with another
    const auto [rows, cols] = tensor_shape(DecoderTensor::up, decoder.config());
    const Index expert = decoder.config().experts > 0 ? 0 : -1;
    adapter.entries.push_back({{DecoderTensor::up, 0, expert}, {Matrix<float>::Ones(1, cols), Matrix<float>::Ones(rows, 1), 0.5f}});
    const auto adapted = merged(decoder, adapter);
    CHECK(states(adapted.with_compute(packed), texts) == states(adapted, texts));
    CHECK(states(adapted, texts) != states(decoder, texts));
  }
}
