#include <doctest/doctest.h>

#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "model/random_adapter.hpp"
#include "model/training_pass.hpp"

using namespace embedpool;

namespace {

/// The texts of a batch of their own, one after the other: what the sink reads of each has the weights of its place.
struct OneTextSink : test::WeightedSink<double> {
  Index text = 0;  ///< number in the whole batch

  template <class F>
  void each(const LayerStates<double>& states, F&& f) const {
    test::WeightedSink<double>::each(states, [&](Index, Index t, Index j, Index row) { f(text, t, j, row); });
  }
  void push(Index layer, const LayerStates<double>& states) {
    each(states, [&](Index b, Index t, Index j, Index row) { loss += weight(layer, b, t, j) * states.buffer(row, j); });
  }
  template <class E>
  void backward_layer(Index layer, const LayerStates<double>& states, Rows<double> dstates, E&) const {
    each(states, [&](Index b, Index t, Index j, Index row) { dstates(row, j) += weight(layer, b, t, j); });
  }
};

/// Gradients of texts with a common beginning, which goes through the model once, are the sums over each text alone; with
/// dropout, too, where each text has coins of its own. They have the same bits whoever runs the jobs.
template <MaskPolicy M>
void check_shared_beginning(const std::string& architecture, const M& mask, const test::WeightedSink<double>& sink,
                            Index kept = DecoderTraining<double>::every_block, DropoutKey dropout = {}) {
  CAPTURE(architecture);
  testing::ShuffledExecutor executor(3, 11);
  const Decoder<double> decoder = test::random_decoder<double>(test::small_config(architecture));
  const std::vector<TokenId> beginning{3, 1, 4, 1, 5, 9};
  std::vector<Batch> alone;
  Batch together;
  for (const Index own : {1, 70, 4, 9}) {  // 70: more than a tile
    std::vector<TokenId> ids = beginning;
    for (Index t = 0; t < own; ++t) ids.push_back(static_cast<TokenId>((own * 7 + t * t) % decoder.config().vocabulary));
    const auto tokens = static_cast<Index>(ids.size());
    const TextShape shape{tokens, {4, tokens}, 4};
    together.add(ids, shape);
    alone.emplace_back().add(ids, shape);
  }
  REQUIRE(shared_prefix(together, mask) >= 4);

  const LoraAdapter<double> adapter = test::random_adapter<double>(decoder.config(), 3);
  DecoderGradients<double> shared = DecoderGradients<double>::of(adapter);
  shared.add_base(decoder.config(), [](const DecoderTensorPlace&) { return true; });
  DecoderGradients<double> summed = shared, serial = shared;
  const TrainedDecoder<double> all{decoder, adapter, &shared};
  const double loss = test::train(all, together, mask, sink, executor, dropout, kept).loss;
  SerialExecutor in_order;
  test::train(TrainedDecoder<double>{decoder, adapter, &serial}, together, mask, sink, in_order, dropout, kept);
  double expected = 0;
  for (std::size_t b = 0; b < alone.size(); ++b) {
    OneTextSink one{sink, static_cast<Index>(b)};
    DecoderTraining<double> training;
    const TrainedDecoder<double> model{decoder, adapter, &summed};
    dropout.first_text = static_cast<Index>(b);
    training.forward(model, alone[b], mask, one, executor, dropout);
    training.backward(model, alone[b], mask, one, executor);
    expected += one.loss;
  }
  CHECK(std::abs(loss - expected) < 1e-10);  // 12,000 values of size 1
  // The same terms in another order.
  for (std::size_t i = 0; i < shared.lora.size(); ++i) {
    CHECK(testing::relative_error(shared.lora[i].a, summed.lora[i].a) < 1e-12);
    CHECK(testing::relative_error(shared.lora[i].b, summed.lora[i].b) < 1e-12);
    CHECK(shared.lora[i].a == serial.lora[i].a);
    CHECK(shared.lora[i].b == serial.lora[i].b);
  }
  for (std::size_t i = 0; i < shared.base.size(); ++i)
    CHECK(testing::relative_error(shared.base[i].value, summed.base[i].value) < 1e-12);
}

}  // namespace

TEST_CASE("a beginning that texts share goes there and back once: gradients are the sums over each text alone") {
  test::WeightedSink<double> last{{3}};
  last.last_tokens = true;
  for (const std::string& architecture : test::dense_architectures()) {
    check_shared_beginning(architecture, Causal{}, {{0, 1, 2, 3}});
    check_shared_beginning(architecture, Causal{}, last);
  }
  check_shared_beginning("qwen3", PrefixBidirectional{}, {{1, 3}}, 1);
  check_shared_beginning("llama", CausalWindow{3}, last, 0);
  check_shared_beginning("gemma", Causal{}, {{0}});
  check_shared_beginning("qwen2", Causal{}, {{2}});
  check_shared_beginning("llama", Causal{}, {{1, 3}}, 1, {0.3, 7, 2, 0});
}
