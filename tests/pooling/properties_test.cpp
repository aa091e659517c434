#include "embedpool/testing/pooling_properties.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "embedpool/pooling/any_layers.hpp"
#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"

using namespace embedpool;

namespace {

/// A head that looks at every key, its kind and its parameters, and remembers the keys for backward, so that nothing of
/// them can be lost or swapped unnoticed.
///   e = sum_k table[kind_k] .* key_k
struct KindWeights {
  template <Real S>
  struct Params {
    Matrix<S> table;  // [slots, D]
  };
  template <Real S>
  struct Cache {
    Matrix<S> keys;
  };
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
  RowVector<S> forward(const Params<S>& w, const Keys<S>& keys, Cache<S>& cache) const {
    cache.keys = as_eigen(keys.rows);
    RowVector<S> e = RowVector<S>::Zero(keys.rows.cols);
    for (Index k = 0; k < keys.rows.rows; ++k)
      for (Index j = 0; j < keys.rows.cols; ++j) e[j] += w.table(keys.slot[std::size_t(k)], j) * keys.rows(k, j);
    return e;
  }
  template <Real S>
  void backward(const Params<S>& w, const Keys<S>& keys, const Cache<S>& cache, const RowVector<S>& de, Params<S>& dw,
                Rows<S> dkeys) const {
    for (Index k = 0; k < keys.rows.rows; ++k)
      for (Index j = 0; j < keys.rows.cols; ++j) {
        dw.table(keys.slot[std::size_t(k)], j) += cache.keys(k, j) * de[j];
        dkeys(k, j) += w.table(keys.slot[std::size_t(k)], j) * de[j];
      }
  }
};
static_assert(HeadPolicy<KindWeights, float>);

/// A head that forgets what other texts gave.
struct OverwritesTable : KindWeights {
  template <Real S>
  void backward(const Params<S>& w, const Keys<S>& keys, const Cache<S>& cache, const RowVector<S>& de, Params<S>& dw,
                Rows<S> dkeys) const {
    dw.table.setZero();
    KindWeights::backward(w, keys, cache, de, dw, dkeys);
  }
};
struct OverwritesKeys : KindWeights {
  template <Real S>
  void backward(const Params<S>& w, const Keys<S>& keys, const Cache<S>& cache, const RowVector<S>& de, Params<S>& dw,
                Rows<S> dkeys) const {
    as_eigen(dkeys).setZero();
    KindWeights::backward(w, keys, cache, de, dw, dkeys);
  }
};

using Any = Pooling<AnyLayers, AnyTokens, KindWeights>;

/// Every reader, modifier and choice of layers by name: one type to compile. any_tokens_test.cpp shows that the fixed
/// readers are the named ones, to the bit.
std::vector<Any> every_pooling() {
  std::vector<Any> poolings;
  for (const std::string_view tokens :
       {"last", "first", "mean", "weighted-mean", "max", "mean-sqrt", "unit-mean", "all", "mean@text",
        "weighted-mean@text", "all@text", "mean@skip:3", "max@text@skip:1", "mean@second-copy", "last,mean@text",
        "all@skip:2,last@text,unit-mean@second-copy@skip:4"})
    poolings.push_back({AnyLayers::parse("all"), AnyTokens::parse(tokens), {}});
  for (const std::string_view layers : {"last", "0", "2", "0-2", "0,3,1"})
    for (const std::string_view tokens : {"last,mean", "all@text"})  // all of one layer: heads run during the push
      poolings.push_back({AnyLayers::parse(layers), AnyTokens::parse(tokens), {}});
  return poolings;
}
std::string name(const Any& pooling) {
  return pooling.tokens.to_string() + " of " + std::to_string(pooling.layers.count(3)) + " layers";
}

// Fixed policies: a head that takes rows during the push, nested modifiers, and the plain poolings.
#define FIXED_POOLINGS                                                                          \
  Pooling<LastLayer, AllTokens, KindWeights>,                                                   \
      Pooling<EveryLayer, PromptExcluded<Both<AllTokens, SkipFirst<TokenMax>>>, KindWeights>,   \
      Pooling<LastLayer, SecondCopy<TokenMean>, Identity>

}  // namespace

TEST_CASE("a text has the same embedding in every batch, to the bit") {
  for (const Any& pooling : every_pooling()) {
    CAPTURE(name(pooling));
    CHECK(testing::batch_does_not_matter<float>(pooling) == "");
  }
}

TEST_CASE("pooling never reads padding, in any element type") {
  for (const Any& pooling : every_pooling()) {
    CAPTURE(name(pooling));
    CHECK(testing::padding_is_never_read<float>(pooling) == "");
    CHECK(testing::padding_is_never_read<float, double>(pooling) == "");
    CHECK(testing::padding_is_never_read<float, bf16>(pooling) == "");
    CHECK(testing::padding_is_never_read<float, f16>(pooling) == "");
  }
}

TEST_CASE("streaming layers equals reading stored ones") {
  for (const Any& pooling : every_pooling()) {
    CAPTURE(name(pooling));
    CHECK(testing::streaming_equals_storing<float>(pooling) == "");
  }
}

TEST_CASE("who computes a text changes no bit of embeddings and gradients") {
  for (const Any& pooling : every_pooling()) {
    CAPTURE(name(pooling));
    CHECK(testing::workers_do_not_matter<float>(pooling) == "");
  }
}

TEST_CASE("pooling backward agrees with central differences") {
  // Linear in states and parameters but for maxima and unit vectors: the quotient is wrong by 1e-10 or so.
  for (const Any& pooling : every_pooling()) {
    CAPTURE(name(pooling));
    CHECK(testing::backward_agrees_with_differences(pooling, {}, 1e-8) == "");
  }
}

TEST_CASE_TEMPLATE("poolings of fixed policies keep every promise", P, FIXED_POOLINGS) {
  CHECK(testing::batch_does_not_matter<float>(P{}) == "");
  CHECK(testing::padding_is_never_read<float>(P{}) == "");
  CHECK(testing::streaming_equals_storing<float>(P{}) == "");
  CHECK(testing::backward_agrees_with_differences(P{}, {}, 1e-8) == "");
}

TEST_CASE("a head that overwrites gradients is found out, however few texts there are") {
  const auto found = [](const auto& pooling) { return testing::backward_agrees_with_differences(pooling, {}, 1e-8); };
  CHECK(found(Pooling<LastLayer, TokenMean, OverwritesTable>{}).find("overwrites the gradient of parameter table") !=
        std::string::npos);
  CHECK(found(Pooling<LastLayer, TokenMean, OverwritesKeys>{}).find("overwrites the gradient of the keys") !=
        std::string::npos);
}
