#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "embedpool/core/matrix.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "model/random_decoder.hpp"

using namespace embedpool;

namespace {

/// f(mask, causal) for every mask policy.
template <class F>
void for_each_mask(F&& f) {
  f(Causal{}, std::string("causal"), true);
  f(Bidirectional{}, std::string("bidirectional"), false);
  f(CausalWindow{4}, std::string("causal window"), true);
  f(CausalWindowInclusive{4}, std::string("causal window, inclusive"), true);
  f(BidirectionalWindow{4}, std::string("bidirectional window"), false);
  f(PrefixBidirectional{}, std::string("prefix"), false);
  f(Intersection{Causal{}, BidirectionalWindow{3}}, std::string("intersection"), true);
}

/// f(decoder, mask, causal) for every architecture and mask.
template <class F>
void for_each_model_and_mask(F&& f) {
  for (const std::string& architecture : test::architectures()) {
    CAPTURE(architecture);
    const auto decoder = test::random_decoder<float>(test::small_config(architecture));
    for_each_mask([&](const auto& mask, const std::string& mask_name, bool causal) {
      CAPTURE(mask_name);
      f(decoder, mask, causal);
    });
  }
}

/// Keeps the rows of wanted layers, by text.
struct Record {
  Index last = 0;
  std::vector<Index> wanted{};  ///< empty: every layer
  Interval (*choose)(const TextShape&) = [](const TextShape& shape) { return Interval{0, shape.tokens}; };
  std::map<std::pair<Index, Index>, Matrix<float>> states{};  ///< (layer, text) -> held rows
  std::vector<Index> order{};

  Index last_layer() const { return last; }
  bool wants(Index layer) const {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), layer) != wanted.end();
  }
  Interval reads(const TextShape& shape) const { return choose(shape); }
  void push(Index layer, const LayerStates<float>& pushed) {
    order.push_back(layer);
    for (Index b = 0; b < pushed.segments->size(); ++b) states[{layer, b}] = as_eigen(pushed.text(b).packed());
  }
  const Matrix<float>& at(Index layer, Index text) const { return states.at({layer, text}); }
};

template <class M, Executor E>
Record run(const Decoder<float>& decoder, const std::vector<test::Text>& texts, const M& mask, E& executor,
           Record record = {}, LastState last_state = LastState::normalized) {
  if (record.last == 0) record.last = decoder.layers();
  DecoderWorkspace<float> workspace;
  decoder.forward(test::batch_of(texts), mask, record, workspace, executor, last_state);
  return record;
}
template <class M>
Record run(const Decoder<float>& decoder, const std::vector<test::Text>& texts, const M& mask, Record record = {},
           LastState last_state = LastState::normalized) {
  SerialExecutor serial;
  return run(decoder, texts, mask, serial, std::move(record), last_state);
}

}  // namespace

TEST_CASE("a text has the same bits alone, in any batch, at any position") {
  for_each_model_and_mask([](const Decoder<float>& decoder, const auto& mask, bool) {
    std::vector<test::Text> texts = test::random_texts(decoder.config().vocabulary);
    const Record together = run(decoder, texts, mask);
    const Record reversed = run(decoder, {texts.rbegin(), texts.rend()}, mask);
    const auto count = static_cast<Index>(texts.size());
    for (Index b = 0; b < count; ++b) {
      CAPTURE(b);
      const Record alone = run(decoder, {texts[static_cast<std::size_t>(b)]}, mask);
      for (Index layer = 0; layer <= decoder.layers(); ++layer) {
        CAPTURE(layer);
        CHECK(alone.at(layer, 0).allFinite());
        CHECK(alone.at(layer, 0) == together.at(layer, b));
        CHECK(alone.at(layer, 0) == reversed.at(layer, count - 1 - b));
      }
    }
  });
}

TEST_CASE("the bits do not depend on the number of threads, or on which thread does what") {
  for_each_model_and_mask([](const Decoder<float>& decoder, const auto& mask, bool) {
    const auto texts = test::random_texts(decoder.config().vocabulary);
    const Record serial = run(decoder, texts, mask);
    for (const Index workers : {1, 2, 3}) {
      CAPTURE(workers);
      testing::ShuffledExecutor shuffled(workers);
      CHECK(run(decoder, texts, mask, shuffled).states == serial.states);
#ifdef _OPENMP
      // Real threads under one mask: handing out work costs time on a busy machine.
      if (!std::is_same_v<std::remove_cvref_t<decltype(mask)>, Bidirectional>) continue;
      OpenMPExecutor threads(workers);
      CHECK(run(decoder, texts, mask, threads).states == serial.states);
#endif
    }
  });
}

TEST_CASE("under a causal mask a token changes no state before it, under others it may") {
  for_each_model_and_mask([](const Decoder<float>& decoder, const auto& mask, bool causal) {
    const Index vocabulary = decoder.config().vocabulary;
    const test::Text text = test::random_text(23, vocabulary, 5);
    for (const Index changed : {22, 11, 1}) {
      CAPTURE(changed);
      test::Text other = text;
      TokenId& token = other[static_cast<std::size_t>(changed)];
      token = static_cast<TokenId>((token + 1) % vocabulary);
      const Matrix<float> before = run(decoder, {text}, mask).at(decoder.layers(), 0);
      const Matrix<float> after = run(decoder, {other}, mask).at(decoder.layers(), 0);
      CHECK(before.row(changed) != after.row(changed));
      if (causal) CHECK(before.topRows(changed) == after.topRows(changed));
      if (std::is_same_v<std::remove_cvref_t<decltype(mask)>, Bidirectional>)
        for (Index t = 0; t < 23; ++t) CHECK(before.row(t) != after.row(t));
    }
  });
}

TEST_CASE("a text's own tokens change nothing in a bidirectional prompt") {
  for (const std::string& architecture : test::architectures()) {
    CAPTURE(architecture);
    const auto decoder = test::random_decoder<float>(test::small_config(architecture));
    test::Text text = test::random_text(24, decoder.config().vocabulary, 5), other = text;
    const Index prompt = test::shape_of(text).text.begin;
    other[static_cast<std::size_t>(prompt)] = (other[static_cast<std::size_t>(prompt)] + 1) % 61;
    const Record before = run(decoder, {text}, PrefixBidirectional{}), after = run(decoder, {other}, PrefixBidirectional{});
    CHECK(before.at(decoder.layers(), 0).topRows(prompt) == after.at(decoder.layers(), 0).topRows(prompt));
    other = text;
    other[static_cast<std::size_t>(prompt - 1)] = (other[static_cast<std::size_t>(prompt - 1)] + 1) % 61;
    const Record prompted = run(decoder, {other}, PrefixBidirectional{});
    CHECK(before.at(decoder.layers(), 0).row(0) != prompted.at(decoder.layers(), 0).row(0));
  }
}

TEST_CASE("rows of a last layer that leaves out the others have the bits of the whole layer") {
  using Choose = Interval (*)(const TextShape&);
  const Choose choices[] = {[](const TextShape& s) { return Interval{s.tokens - 1, s.tokens}; },
                            [](const TextShape&) { return Interval{0, 1}; },
                            [](const TextShape& s) { return Interval{s.tokens / 3, s.tokens / 2 + 1}; },
                            [](const TextShape& s) { return Interval{std::min<Index>(s.tokens - 1, 2), s.tokens}; }};
  for_each_model_and_mask([&](const Decoder<float>& decoder, const auto& mask, bool) {
    const auto texts = test::random_texts(decoder.config().vocabulary);
    for (const LastState last_state : {LastState::normalized, LastState::raw}) {
      for (Index last = 1; last <= decoder.layers(); ++last) {
        CAPTURE(last);
        const Record whole = run(decoder, texts, mask, Record{last}, last_state);
        for (const Choose choose : choices) {
          const Record pruned = run(decoder, texts, mask, Record{last, {}, choose}, last_state);
          for (std::size_t b = 0; b < texts.size(); ++b) {
            CAPTURE(b);
            const Interval held = choose(test::shape_of(texts[b]));
            const auto text = static_cast<Index>(b);
            CHECK(pruned.at(last, text) == whole.at(last, text).middleRows(held.begin, held.size()));
            for (Index layer = 0; layer < last; ++layer) CHECK(pruned.at(layer, text) == whole.at(layer, text));
          }
        }
      }
    }
  });
}

TEST_CASE("stopping early and wanting fewer layers changes no layer that is pushed") {
  for_each_model_and_mask([](const Decoder<float>& decoder, const auto& mask, bool) {
    const auto texts = test::random_texts(decoder.config().vocabulary);
    const Record every = run(decoder, texts, mask);
    CHECK(every.order == std::vector<Index>{0, 1, 2, 3});
    const Record raw = run(decoder, texts, mask, {}, LastState::raw);
    for (const std::vector<Index>& wanted : {std::vector<Index>{1}, {2}, {0, 2}, {3}, {1, 3}}) {
      const Record some = run(decoder, texts, mask, Record{wanted.back(), wanted});
      CHECK(some.order == wanted);
      for (const auto& [place, states] : some.states) CHECK(states == every.states.at(place));
    }
    // Only layer L tells the two apart.
    CHECK(raw.at(2, 0) == every.at(2, 0));
    CHECK(raw.at(3, 0) != every.at(3, 0));
  });
}

TEST_CASE("a workspace that other batches and models used changes nothing") {
  const auto llama = test::random_decoder<float>(test::small_config("llama"));
  const auto qwen3 = test::random_decoder<float>(test::small_config("qwen3"));
  DecoderWorkspace<float> used;
  SerialExecutor serial;
  const auto forward = [&](const Decoder<float>& decoder, const std::vector<test::Text>& texts) {
    Record record{decoder.layers()};
    decoder.forward(test::batch_of(texts), Causal{}, record, used, serial);
    return record.states;
  };
  const auto texts = test::random_texts(61);
  forward(qwen3, {texts[1]});
  forward(llama, {texts[0]});
  forward(qwen3, texts);
  CHECK(forward(llama, texts) == run(llama, texts, Causal{}).states);
  CHECK(forward(llama, {texts[2]}) == run(llama, {texts[2]}, Causal{}).states);
  CHECK(forward(qwen3, {texts[3]}) == run(qwen3, {texts[3]}, Causal{}).states);
}

TEST_CASE("float agrees with double") {
  for (const std::string& architecture : test::architectures()) {
    CAPTURE(architecture);
    const DecoderConfig config = test::small_config(architecture);
    const auto single = test::random_decoder<float>(config);
    auto exact = test::random_decoder<double>(config);
    // The double model with the float model's weights: views of F32 matrices are used as they are.
    DecoderWeights<double> weights = exact.weights();
    std::vector<WeightView> views;
    std::vector<std::vector<float>> vectors;
    for_each_tensor(single.weights(), config, [&](const DecoderTensorPlace&, const auto& tensor) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) views.push_back(tensor);
      else vectors.push_back(tensor);
    });
    std::size_t view = 0, vector = 0;
    for_each_tensor(weights, config, [&](const DecoderTensorPlace&, auto& tensor) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) tensor = views[view++];
      else tensor.assign(vectors[vector].begin(), vectors[vector].end()), ++vector;
    });
    const Decoder<double> mixed(config, weights);

    struct Last {
      Index last = 0;
      Matrix<double> states{};
      Index last_layer() const { return last; }
      bool wants(Index layer) const { return layer == last; }
      Interval reads(const TextShape& shape) const { return {0, shape.tokens}; }
      void push(Index, const LayerStates<double>& pushed) { states = as_eigen(pushed.buffer); }
    } last{config.layers};
    const auto texts = test::random_texts(config.vocabulary);
    DecoderWorkspace<double> workspace;
    SerialExecutor serial;
    mixed.forward(test::batch_of(texts), Bidirectional{}, last, workspace, serial);
    const Record record = run(single, texts, Bidirectional{});
    Index row = 0;
    for (std::size_t b = 0; b < texts.size(); ++b) {
      const Matrix<float>& states = record.at(config.layers, static_cast<Index>(b));
      // Three blocks of sums of up to 70 terms near 1: a few hundred roundings of 6e-8.
      CHECK((states.cast<double>() - last.states.middleRows(row, states.rows())).cwiseAbs().maxCoeff() < 5e-5);
      row += states.rows();
    }
  }
}

TEST_CASE("a batch without texts gives every layer without rows") {
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));
  const Record record = run(decoder, {}, Causal{});
  CHECK(record.order == std::vector<Index>{0, 1, 2, 3});
  CHECK(record.states.empty());
}

TEST_CASE("a beginning that texts share is computed once, and changes no bit of any layer") {
  using Choose = Interval (*)(const TextShape&);
  const Choose choices[] = {[](const TextShape& s) { return Interval{0, s.tokens}; },
                            [](const TextShape& s) { return Interval{s.tokens - 1, s.tokens}; },
                            [](const TextShape&) { return Interval{0, 1}; },
                            [](const TextShape& s) { return Interval{s.tokens / 3, s.tokens / 2 + 1}; }};
  for_each_model_and_mask([&](const Decoder<float>& decoder, const auto& mask, bool) {
    std::vector<test::Text> texts = test::random_texts(decoder.config().vocabulary);
    const test::Text prompt = test::random_text(9, decoder.config().vocabulary, 3);
    for (test::Text& text : texts) text.insert(text.begin(), prompt.begin(), prompt.end());
    for (const Choose choose : choices) {
      const Record together = run(decoder, texts, mask, Record{decoder.layers(), {}, choose});
      for (std::size_t b = 0; b < texts.size(); ++b) {
        CAPTURE(b);
        const Record alone = run(decoder, {texts[b]}, mask, Record{decoder.layers(), {}, choose});
        for (Index layer = 0; layer <= decoder.layers(); ++layer)
          CHECK(together.at(layer, static_cast<Index>(b)) == alone.at(layer, 0));
      }
    }
  });
}
