#include "embedpool/pooling/layers.hpp"

#include <doctest/doctest.h>

#include "embedpool/pooling/any_layers.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::refusal;

namespace {

/// The layers of an L-layer model that a policy wants, in the order of their slots; empty if slots are not 0, 1, ...
template <class Policy>
std::vector<Index> wanted(const Policy& policy, Index layers) {
  policy.check(layers);
  std::vector<Index> found;
  for (Index k = 0; k <= layers; ++k) {
    if (!policy.wants(k, layers)) continue;
    if (policy.slot(k, layers) != static_cast<Index>(found.size())) return {};
    found.push_back(k);
  }
  return static_cast<Index>(found.size()) == policy.count(layers) ? found : std::vector<Index>{};
}
using Layers = std::vector<Index>;

}  // namespace

TEST_CASE("each policy wants its layers and numbers them in rising order") {
  CHECK(wanted(LastLayer{}, 3) == Layers{3});
  CHECK(wanted(EveryLayer{}, 3) == Layers{1, 2, 3});
  CHECK(wanted(OneLayer{0}, 3) == Layers{0});
  CHECK(wanted(OneLayer{3}, 3) == Layers{3});
  CHECK(wanted(LayerRange{1, 2}, 3) == Layers{1, 2});
  CHECK(wanted(LayerRange{0, 3}, 3) == Layers{0, 1, 2, 3});
  CHECK(wanted(LayerList{{3, 0, 2}}, 3) == Layers{0, 2, 3});
}

TEST_CASE("a layer that the model has not is refused by name") {
  CHECK(refusal([] { OneLayer{4}.check(3); }) == "OneLayer: layer must be in [0, 3], got 4");
  CHECK(refusal([] { OneLayer{-1}.check(3); }) == "OneLayer: layer must be in [0, 3], got -1");
  CHECK(refusal([] { LayerRange{1, 4}.check(3); }) == "LayerRange: last must be in [0, 3], got 4");
  CHECK(refusal([] { LayerRange{3, 2}.check(3); }) == "LayerRange: first must be in [0, 2], got 3");
  CHECK(refusal([] { LayerList{{1, 9}}.check(3); }) == "LayerList: layer must be in [0, 3], got 9");
  CHECK(refusal([] { LayerList{{1, 2, 1}}.check(3); }) == "LayerList: layer 1 is named twice");
  CHECK(refusal([] { LayerList{}.check(3); }) == "LayerList: names no layer");
  CHECK(refusal([] { EveryLayer{}.check(0); }).starts_with("EveryLayer: layers of the model"));
}

TEST_CASE("layers are chosen by name at run time") {
  CHECK(wanted(AnyLayers::parse("last"), 6) == Layers{6});
  CHECK(wanted(AnyLayers::parse("all"), 3) == Layers{1, 2, 3});
  CHECK(wanted(AnyLayers::parse("0"), 3) == Layers{0});
  CHECK(wanted(AnyLayers::parse("5,1-3"), 6) == Layers{1, 2, 3, 5});
}

TEST_CASE("names that are no layers are refused with the part that is wrong") {
  for (const std::string names : {"", "first", "1,", "1,,2", "-1", "3-1", "2-", "1-x", "99999999999999999999", "1-9999999"}) {
    CAPTURE(names);
    CHECK(refusal([&] { AnyLayers::parse(names); }).find("is not a layer") != std::string::npos);
  }
  CHECK(refusal([] { AnyLayers::parse("1,x,3"); }).starts_with("layers \"1,x,3\": \"x\" is not a layer"));
}
