#include <doctest/doctest.h>

#include "embedpool/model/decoder_parameters.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "model/random_adapter.hpp"
#include "model/training_pass.hpp"

using namespace embedpool;

namespace {

/// Every feature of an architecture in as few values as can be: difference quotients take two passes a value.
DecoderConfig tiny_config(const std::string& architecture) {
  DecoderConfig config = test::small_config(architecture);
  config.width = 8;
  config.layers = 2;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.feed_forward_width = 5;
  config.vocabulary = 7;
  config.inverse_frequencies = rotary_frequencies(10000, config.head_dim);
  return config;
}

Batch small_batch(Index vocabulary) {
  std::vector<test::Text> texts;
  for (const Index tokens : {1, 5, 3}) texts.push_back(test::random_text(tokens, vocabulary, static_cast<unsigned>(tokens)));
  return test::batch_of(texts);
}

/// The loss, a mix of hundreds of values, is rounded to about 1e-14: 1e-9 in a quotient, against gradients down to 0.03.
constexpr double quotient_error = 1e-7;

/// Every gradient of a model against central differences of the loss.
template <MaskPolicy M>
void check_gradients(const std::string& architecture, const M& mask, const test::WeightedSink<double>& sink,
                     const DropoutKey& dropout, Index kept, LastState last_state, bool train_base) {
  CAPTURE(architecture);
  SerialExecutor serial;
  const DecoderConfig config = tiny_config(architecture);
  const Batch batch = small_batch(config.vocabulary);
  DecoderParameters<double> base(test::random_decoder<double>(config));
  LoraAdapter<double> adapter = test::random_adapter<double>(config, 2);
  DecoderGradients<double> gradients = DecoderGradients<double>::of(adapter);
  if (train_base) gradients.add_base(config, [](const DecoderTensorPlace&) { return true; });
  const Decoder<double> decoder = base.decoder();
  test::train(TrainedDecoder<double>{decoder, adapter, &gradients}, batch, mask, sink, serial, dropout, kept, last_state);

  const auto loss = [&] {
    const Decoder<double> now = base.decoder();
    return test::train(TrainedDecoder<double>{now, adapter}, batch, mask, sink, serial, dropout, kept, last_state).loss;
  };
  for (std::size_t i = 0; i < adapter.entries.size(); ++i) {
    const std::string place = describe(adapter.entries[i].place);
    CAPTURE(place);
    LoraPair<double>& lora = adapter.entries[i].lora;
    CHECK(testing::relative_error(gradients.lora[i].a, testing::numeric_gradient(lora.a, loss)) < quotient_error);
    CHECK(testing::relative_error(gradients.lora[i].b, testing::numeric_gradient(lora.b, loss)) < quotient_error);
  }
  for (const auto& tensor : base.tensors()) {
    if (!train_base) break;
    const std::string place = describe(tensor.place);
    CAPTURE(place);
    const Matrix<double> numeric = testing::numeric_gradient(*tensor.value, loss);
    CHECK(testing::relative_error(*gradients.find(tensor.place), numeric) < quotient_error);
  }
}

}  // namespace

TEST_CASE("gradients of adapter and base agree with central differences in every architecture") {
  const test::WeightedSink<double> every{{0, 1, 2}};
  for (const std::string& architecture : test::dense_architectures())
    check_gradients(architecture, Causal{}, every, {}, DecoderTraining<double>::every_block, LastState::normalized, true);
}

TEST_CASE("gradients agree with central differences when the last block is pruned") {
  test::WeightedSink<double> last{{2}};
  last.last_tokens = true;
  check_gradients("qwen3", Bidirectional{}, last, {}, DecoderTraining<double>::every_block, LastState::normalized, true);
  check_gradients("llama-gguf", Causal{}, last, {0.4, 3, 1, 0}, 1, LastState::raw, true);
}

TEST_CASE("gradients agree with central differences under every mask, with dropout and blocks computed again") {
  const DropoutKey dropout{0.3, 7, 2, 5};
  const test::WeightedSink<double> sink{{1, 2}};
  check_gradients("llama", Bidirectional{}, sink, dropout, 0, LastState::normalized, false);
  check_gradients("qwen2", PrefixBidirectional{}, sink, dropout, 1, LastState::raw, false);
  check_gradients("qwen3", CausalWindow{2}, sink, dropout, 0, LastState::normalized, false);
  check_gradients("gemma", BidirectionalWindow{1}, sink, dropout, 2, LastState::normalized, false);
  check_gradients("llama-gguf", Intersection{Causal{}, BidirectionalWindow{2}}, sink, dropout, 1, LastState::normalized, false);
}

TEST_CASE("a pass that reads a layer in the middle, or the embeddings alone, goes back from there") {
  check_gradients("llama", Causal{}, test::WeightedSink<double>{{1}}, {}, 1, LastState::normalized, true);
  check_gradients("gemma", Causal{}, test::WeightedSink<double>{{0}}, {}, 1, LastState::normalized, true);
}

TEST_CASE_TEMPLATE("an adapter whose B is zero changes no bit of any layer", S, float, double) {
  SerialExecutor serial;
  for (const std::string& architecture : test::dense_architectures()) {
    CAPTURE(architecture);
    const Decoder<S> decoder = test::random_decoder<S>(test::small_config(architecture));
    const Batch batch = test::batch_of(test::random_texts(decoder.config().vocabulary));
    const LoraAdapter<S> adapter = test::random_adapter<S>(decoder.config(), 3, 0.0);
    for (const bool last_tokens : {false, true}) {
      test::WeightedSink<S> plain{{0, 1, 2, 3}}, trained{{0, 1, 2, 3}};
      plain.last_tokens = trained.last_tokens = last_tokens;
      DecoderWorkspace<S> workspace;
      decoder.forward(batch, Causal{}, plain, workspace, serial);
      trained = test::train(TrainedDecoder<S>{decoder, adapter}, batch, Causal{}, trained, serial);
      CHECK(trained.loss == plain.loss);  // a mix of every bit of every layer, summed in the same order
      CHECK(trained.pushed == plain.pushed);
    }
  }
}

TEST_CASE("a pass with the adapter beside the weights gives what the merged model gives, stacked adapters too") {
  SerialExecutor serial;
  for (const std::string& architecture : test::dense_architectures()) {
    CAPTURE(architecture);
    const Decoder<double> decoder = test::random_decoder<double>(test::small_config(architecture));
    const Batch batch = test::batch_of(test::random_texts(decoder.config().vocabulary));
    LoraAdapter<double> adapter = test::random_adapter<double>(decoder.config(), 3);
    const LoraAdapter<double> second = test::random_adapter<double>(decoder.config(), 5, 0.1, 1);
    adapter.entries.insert(adapter.entries.end(), second.entries.begin(), second.entries.end());
    test::WeightedSink<double> plain{{0, 1, 2, 3}};
    DecoderWorkspace<double> workspace;
    merged(decoder, adapter).forward(batch, Causal{}, plain, workspace, serial);
    const auto beside = test::train(TrainedDecoder<double>{decoder, adapter}, batch, Causal{}, {{0, 1, 2, 3}}, serial);
    // A sum of 18,000 values of size 1 that each differ by a few roundings.
    CHECK(std::abs(beside.loss - plain.loss) < 1e-9);
    CHECK(std::abs(plain.loss) > 1e-3);
  }
}

TEST_CASE("blocks that are computed again give gradients with the same bits, with dropout too") {
  SerialExecutor serial;
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("qwen3"));
  const Batch batch = test::batch_of(test::random_texts(decoder.config().vocabulary));
  const LoraAdapter<float> adapter = test::random_adapter<float>(decoder.config(), 3);
  const auto gradients_with = [&](Index kept) {
    DecoderGradients<float> gradients = DecoderGradients<float>::of(adapter);
    const TrainedDecoder<float> model{decoder, adapter, &gradients};
    test::train(model, batch, Causal{}, {{1, 3}}, serial, {0.1, 4, 5, 6}, kept);
    return gradients;
  };
  const auto all = gradients_with(3);
  for (const Index kept : {0, 1, 2}) {
    const auto some = gradients_with(kept);
    for (std::size_t i = 0; i < all.lora.size(); ++i) {
      CHECK(all.lora[i].a == some.lora[i].a);
      CHECK(all.lora[i].b == some.lora[i].b);
    }
  }
}

TEST_CASE("gradients have the same bits whoever runs the jobs") {
  SerialExecutor serial;
  testing::ShuffledExecutor shuffled(5, 11);
  const Decoder<float> decoder = test::random_decoder<float>(test::small_config("qwen2"));
  const Batch batch = test::batch_of(test::random_texts(decoder.config().vocabulary));
  const LoraAdapter<float> adapter = test::random_adapter<float>(decoder.config(), 3);
  const auto gradients_by = [&](auto& executor) {
    DecoderGradients<float> gradients = DecoderGradients<float>::of(adapter);
    gradients.add_base(decoder.config(), [](const DecoderTensorPlace&) { return true; });
    const TrainedDecoder<float> model{decoder, adapter, &gradients};
    test::train(model, batch, Bidirectional{}, {{1, 3}}, executor, {0.1, 4, 5, 6});
    return gradients;
  };
  const auto a = gradients_by(serial), b = gradients_by(shuffled);
  for (std::size_t i = 0; i < a.lora.size(); ++i) {
    CHECK(a.lora[i].a == b.lora[i].a);
    CHECK(a.lora[i].b == b.lora[i].b);
  }
  for (std::size_t i = 0; i < a.base.size(); ++i) CHECK(a.base[i].value == b.base[i].value);
}

TEST_CASE("what has no gradient is frozen: the other gradients are the same, and backward goes no lower") {
  SerialExecutor serial;
  const Decoder<double> decoder = test::random_decoder<double>(test::small_config("llama"));
  const Batch batch = test::batch_of(test::random_texts(decoder.config().vocabulary));
  const LoraAdapter<double> adapter = test::random_adapter<double>(decoder.config(), 2);
  DecoderGradients<double> all = DecoderGradients<double>::of(adapter), top = all;
  for (std::size_t i = 0; i < top.lora.size(); ++i)
    if (adapter.entries[i].place.layer < 2) top.lora[i] = {};
  struct Counting : test::WeightedSink<double> {
    mutable std::vector<Index> went_back{};
    void backward_layer(Index layer, const LayerStates<double>& states, Rows<double> d, SerialExecutor& e) const {
      went_back.push_back(layer);
      test::WeightedSink<double>::backward_layer(layer, states, d, e);
    }
  };
  const auto run = [&](DecoderGradients<double>& gradients) {
    Counting sink{{{0, 1, 2, 3}}};
    DecoderTraining<double> training;
    const TrainedDecoder<double> model{decoder, adapter, &gradients};
    training.forward(model, batch, Causal{}, sink, serial);
    training.backward(model, batch, Causal{}, sink, serial);
    return sink.went_back;
  };
  CHECK(run(all) == std::vector<Index>{3, 2, 1});
  CHECK(run(top) == std::vector<Index>{3});
  for (std::size_t i = 0; i < top.lora.size(); ++i)
    if (top.lora[i].a.size() > 0) {
      CHECK(all.lora[i].a == top.lora[i].a);
      CHECK(all.lora[i].b == top.lora[i].b);
    }
}

TEST_CASE("a batch without texts goes there and back, and has no gradient") {
  SerialExecutor serial;
  const Decoder<double> decoder = test::random_decoder<double>(test::small_config("llama"));
  const auto adapter = test::random_adapter<double>(decoder.config(), 2);
  auto gradients = DecoderGradients<double>::of(adapter);
  test::train(TrainedDecoder<double>{decoder, adapter, &gradients}, Batch{}, Causal{}, test::WeightedSink<double>{{3}}, serial);
  for (const LoraPair<double>& pair : gradients.lora) CHECK((pair.a.isZero(0) && pair.b.isZero(0)));
}

TEST_CASE("what cannot be trained is refused by name") {
  SerialExecutor serial;
  const auto message = [&](const std::string& architecture, const LoraAdapter<float>& adapter) -> std::string {
    const Decoder<float> decoder = test::random_decoder<float>(test::small_config(architecture));
    const Batch batch = small_batch(decoder.config().vocabulary);
    try {
      test::train(TrainedDecoder<float>{decoder, adapter}, batch, Causal{}, test::WeightedSink<float>{{3}}, serial);
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("mixtral", {}).find("mixtures of experts") != std::string::npos);
  LoraAdapter<float> wrong;
  wrong.entries.push_back({{DecoderTensor::gate, 1}, {Matrix<float>(2, 35), Matrix<float>(54, 2), 1.0f}});
  CHECK(message("llama", wrong) == "LoRA: block 1, gate: columns of A must be 36, got 35");
  wrong.entries[0] = {{DecoderTensor::gate, 3}, {Matrix<float>(2, 36), Matrix<float>(54, 2), 1.0f}};
  CHECK(message("llama", wrong) == "LoRA: block 3, gate is no linear map of this model");
  wrong.entries[0].place = {DecoderTensor::embedding};
  CHECK(message("llama", wrong) == "LoRA: embedding is no linear map of this model");
}
