#include "embedpool/testing/pooling_properties.hpp"

#include <doctest/doctest.h>

#include "embedpool/pooling/any_layers.hpp"
#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"

using namespace embedpool;

namespace {

/// A head that looks at every key, its kind and its parameters, so that no key can be lost or swapped unnoticed.
///   e = sum_k table[kind_k] .* key_k
struct KindWeights {
  template <Real S>
  struct Params {
    Matrix<S> table;  // [slots, D]
  };
  template <Real S>
  struct Cache {};
  template <class P, class F>
  static void for_each(P& params, F&& f) {
    f("table", params.table);
  }
  template <Real S>
  Params<S> init(Index width, Index slots) const {
    return {Matrix<S>::Zero(slots, width)};
  }
  Index output_width(Index width) const noexcept { return width; }

  template <Real S>
  RowVector<S> forward(const Params<S>& w, const Keys<S>& keys, Cache<S>&) const {
    RowVector<S> e = RowVector<S>::Zero(keys.rows.cols);
    for (Index k = 0; k < keys.rows.rows; ++k)
      for (Index j = 0; j < keys.rows.cols; ++j) e[j] += w.table(keys.slot[std::size_t(k)], j) * keys.rows(k, j);
    return e;
  }
  template <Real S>
  void backward(const Params<S>& w, const Keys<S>& keys, const Cache<S>&, const RowVector<S>& de, Params<S>& dw,
                Rows<S> dkeys) const {
    for (Index k = 0; k < keys.rows.rows; ++k)
      for (Index j = 0; j < keys.rows.cols; ++j) {
        dw.table(keys.slot[std::size_t(k)], j) += keys.rows(k, j) * de[j];
        dkeys(k, j) += w.table(keys.slot[std::size_t(k)], j) * de[j];
      }
  }
};
static_assert(HeadPolicy<KindWeights, float>);

/// Policies with arguments as types of their own, so that a template test can list them.
struct SkipThree : SkipFirst<TokenMean> {
  constexpr SkipThree() : SkipFirst<TokenMean>(3) {}
};
struct MiddleLayer : OneLayer {
  constexpr MiddleLayer() : OneLayer{2} {}
};
struct EmbeddingOutput : OneLayer {};
struct LowerLayers : LayerRange {
  constexpr LowerLayers() : LayerRange{0, 2} {}
};
struct SomeLayers : LayerList {
  SomeLayers() : LayerList{{3, 0, 1}} {}
};
struct LayersByName : AnyLayers {
  LayersByName() : AnyLayers(AnyLayers::parse("0-1,3")) {}
};
struct TokensByName : AnyTokens {
  TokensByName() : AnyTokens(AnyTokens::parse("last,mean@text,max@second-copy@skip:4,all@skip:2,unit-mean")) {}
};

template <class Tokens>
using Read = Pooling<EveryLayer, Tokens, KindWeights>;
template <class Layers>
using From = Pooling<Layers, Both<LastToken, TokenMean>, KindWeights>;

#define EVERY_READER                                                                                                   \
  Read<LastToken>, Read<FirstToken>, Read<TokenMean>, Read<PositionWeightedMean>, Read<TokenMax>,                      \
      Read<TokenMeanSqrt>, Read<UnitTokenMean>, Read<AllTokens>, Read<PromptExcluded<TokenMean>>,                      \
      Read<PromptExcluded<PositionWeightedMean>>, Read<PromptExcluded<LastToken>>, Read<PromptExcluded<AllTokens>>,    \
      Read<SkipThree>, Read<SkipFirst<PromptExcluded<TokenMax>>>, Read<PromptExcluded<SkipFirst<FirstToken>>>,         \
      Read<SecondCopy<TokenMean>>, Read<SecondCopy<UnitTokenMean>>, Read<Both<LastToken, PromptExcluded<TokenMean>>>,  \
      Read<PromptExcluded<Both<AllTokens, SkipFirst<TokenMeanSqrt>>>>, Read<TokensByName>
#define EVERY_LAYERS                                                                                                   \
  From<LastLayer>, From<EveryLayer>, From<MiddleLayer>, From<EmbeddingOutput>, From<LowerLayers>, From<SomeLayers>,    \
      From<LayersByName>
// One layer of rows unchanged: the head runs while the layer is pushed.
#define IMMEDIATE Pooling<LastLayer, AllTokens, KindWeights>, Pooling<MiddleLayer, PromptExcluded<AllTokens>, KindWeights>
#define PLAIN Pooling<LastLayer, LastToken, Identity>, Pooling<LastLayer, TokenMean, Identity>
#define EVERY_POOLING EVERY_READER, EVERY_LAYERS, IMMEDIATE, PLAIN
// What does not depend on the reader is tested on few, to save compiling: readers_test.cpp has every reader in every type.
#define SOME_POOLINGS From<EveryLayer>, Read<TokensByName>, IMMEDIATE

}  // namespace

TEST_CASE_TEMPLATE("a text has the same embedding in every batch, to the bit", P, EVERY_POOLING) {
  CHECK(testing::batch_does_not_matter<float>(P{}) == "");
}

TEST_CASE_TEMPLATE("pooling never reads padding", P, EVERY_POOLING) {
  CHECK(testing::padding_is_never_read<float>(P{}) == "");
}

TEST_CASE_TEMPLATE("streaming layers equals reading stored ones", P, EVERY_POOLING) {
  CHECK(testing::streaming_equals_storing<float>(P{}) == "");
}

TEST_CASE_TEMPLATE("pooling backward agrees with central differences", P, EVERY_POOLING) {
  // Linear in states and parameters but for TokenMax and UnitTokenMean: the quotient is wrong by 1e-10 or so.
  CHECK(testing::backward_agrees_with_differences(P{}, {}, 1e-8) == "");
}

TEST_CASE_TEMPLATE("padding and batch change no bit of states in any type", P, SOME_POOLINGS) {
  CHECK(testing::batch_does_not_matter<float, bf16>(P{}) == "");
  CHECK(testing::padding_is_never_read<double>(P{}) == "");
  CHECK(testing::padding_is_never_read<float, bf16>(P{}) == "");
  CHECK(testing::padding_is_never_read<float, f16>(P{}) == "");
  CHECK(testing::streaming_equals_storing<double>(P{}) == "");
}

TEST_CASE_TEMPLATE("who computes a text changes no bit of embeddings and gradients", P, SOME_POOLINGS) {
  CHECK(testing::workers_do_not_matter<float>(P{}) == "");
}
