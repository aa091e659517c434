// Policies of users that break what their concept promises: found by the tests that the library ships, or refused.
#include <doctest/doctest.h>

#include "attention/every_mask.hpp"
#include "embedpool/pooling.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/testing/mask_properties.hpp"
#include "embedpool/testing/pooling_properties.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::refusal;

namespace {

/// Says that its keys are rows, which it inherits, and halves them.
struct HalfTokens : AllTokens {
  template <Element T, Real S>
  void read(const TextStates<T>& states, Rows<S> out) const {
    AllTokens::read(states, out);
    as_eigen(out) *= S(0.5);
  }
};

/// The last token; its gradient goes where it lies in the text, not where it lies in what is held.
struct ForgetsHeld : LastToken {
  template <Element T, Real S>
  void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const {
    const Index row = states.shape().tokens - 1;
    for (Index j = 0; j < dout.cols; ++j) dstates.row_data(0)[row * dstates.stride + j] += dout(0, j);
  }
};

/// The mean; its gradient comes to the first 16 tokens alone.
struct ForgetsLateTokens : TokenMean {
  template <Element T, Real S>
  void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const {
    const Index tokens = states.shape().tokens;
    for (Index t = 0; t < std::min<Index>(16, tokens); ++t)
      for (Index j = 0; j < dout.cols; ++j) dstates(t, j) += dout(0, j) / static_cast<S>(tokens);
  }
};

struct UnknownKind : LastToken {
  Index slot(Index, const TextShape&) const { return 1; }
};

struct Throws : LastToken {
  bool* fails;
  template <Element T, Real S>
  void read(const TextStates<T>& states, Rows<S> out) const {
    if (*fails) throw Error("no memory");
    LastToken::read(states, out);
  }
};

/// Layers 0 and 1, of which `count` are said to be wanted, in slots first and second.
struct TwoLayers {
  Index said = 2, first = 0, second = 1;
  bool any = true;
  void check(Index) const {}
  Index count(Index) const { return said; }
  bool wants(Index layer, Index) const { return any && layer < 2; }
  Index slot(Index layer, Index) const { return layer == 0 ? first : second; }
};

struct FallingBegin {
  Interval keys(Index query, const TextShape&) const noexcept { return {query > 40 ? query - 40 : query, query + 1}; }
};
struct BeyondTheEnd {
  Interval keys(Index query, const TextShape&) const noexcept { return {0, query + 2}; }
};
struct NotItself {
  Interval keys(Index query, const TextShape& shape) const noexcept {
    return query < shape.text.begin ? Interval{0, query + 1} : Interval{shape.text.begin, std::max(query, shape.text.begin + 1)};
  }
};

const Identity::Params<float> nothing;

template <class Pooling>
std::string refused(const Pooling& pooling) {
  const Segments segments = testing::example_texts();
  return refusal([&] { pooling.template stream<float>(nothing, segments, 3, 4); });
}

}  // namespace

TEST_CASE("a reader that inherits keys_are_rows and changes them is found out") {
  const auto found = testing::keys_are_rows_where_said<float, Pooling<LastLayer, HalfTokens, LayerMean>>;
  CHECK(found({}, {}).find("keys that are not its rows") != std::string::npos);
  CHECK(testing::keys_are_rows_where_said<float>(Pooling<LastLayer, AllTokens, LayerMean>{}) == "");
  CHECK(testing::keys_are_rows_where_said<float>(Pooling<LastLayer, PromptExcluded<AllTokens>, LayerMean>{}) == "");
  CHECK(testing::keys_are_rows_where_said<float>(Pooling<LastLayer, TokenMean, LayerMean>{}) == "");
}

TEST_CASE("a reader whose gradient is wrong where only the rows that are read are held is found out") {
  CHECK(testing::backward_agrees_with_differences(Pooling<LastLayer, ForgetsHeld, LayerMean>{}).find("are held alone") !=
        std::string::npos);
}

TEST_CASE("a reader whose gradient forgets what no short text has is found out") {
  CHECK(testing::backward_agrees_with_differences(Pooling<LastLayer, ForgetsLateTokens, LayerMean>{}).find("a text of 150 tokens") !=
        std::string::npos);
}

TEST_CASE("layers whose slots are no places, and keys of kinds that a reader does not have, are refused") {
  const auto with = [](const TwoLayers& layers) { return refused(Pooling<TwoLayers, LastToken, LayerMean>{layers, {}, {}}); };
  CHECK(with({}) == "");
  CHECK(with({.said = 1}) == "Pooling: the number of layers that are wanted must be 2, got 1");
  CHECK(with({.said = 3}) == "Pooling: the number of layers that are wanted must be 2, got 3");
  CHECK(with({.first = 1, .second = 0}) == "Pooling: the slot of layer 0 must be 0, got 1");
  CHECK(with({.second = 2}) == "Pooling: the slot of layer 1 must be 1, got 2");
  CHECK(with({.said = 0, .any = false}) == "Pooling: no layer is wanted");
  CHECK(refused(Pooling<LastLayer, UnknownKind, Identity>{}) == "Pooling: text 0, key 0: kind must be in [0, 0], got 1");
}

TEST_CASE("what a reader throws arrives, however it is wrapped, and the layer may be pushed again") {
  bool fails = true;
  const auto states = testing::HiddenStates<float>::random(testing::example_texts(), 1, 4, 1);
  const auto check = [&](const auto& pooling) {
    fails = true;
    auto stream = pooling.template stream<float>(nothing, states.segments(), 1, 4);
    CHECK_THROWS_WITH_AS(stream.push(1, states.layer(1)), "no memory", Error);
    CHECK_THROWS_WITH_AS(stream.finish(), doctest::Contains("never pushed"), ShapeError);
    fails = false;
    stream.push(1, states.layer(1));
    CHECK(stream.finish().allFinite());
  };
  const Throws reader{{}, &fails};
  check(Pooling<LastLayer, Throws, LayerMean>{{}, reader, {}});
  PromptExcluded<Throws> excluded;
  excluded.reader = reader;
  check(Pooling<LastLayer, PromptExcluded<Throws>, LayerMean>{{}, excluded, {}});
  check(Pooling<LastLayer, Both<TokenMean, Throws>, LayerMean>{{}, {{}, reader}, {}});
}

TEST_CASE("a mask that breaks a promise is found out, with the token, and those of the library break none") {
  test::for_every_mask([](const auto& mask) { CHECK(testing::mask_keeps_its_promises(mask) == ""); });
  CHECK(testing::mask_keeps_its_promises(FallingBegin{}).find("token 41 of 64 sees [1, 42): neither end may fall") == 0);
  CHECK(testing::mask_keeps_its_promises(BeyondTheEnd{}).find("token 0 of 1 sees [0, 2): must be in [0, 1)") == 0);
  CHECK(testing::mask_keeps_its_promises(NotItself{}).find("hold the token itself") != std::string::npos);
}
