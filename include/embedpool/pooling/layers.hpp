#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Only the last layer, after the final norm.
struct LastLayer {
  void check(Index layers) const { require_in("LastLayer", "layers of the model", layers, 1, max_layers); }
  constexpr Index count(Index) const noexcept { return 1; }
  constexpr bool wants(Index layer, Index layers) const noexcept { return layer == layers; }
  constexpr Index slot(Index, Index) const noexcept { return 0; }

  static constexpr Index max_layers = Index(1) << 20;  ///< no model is deeper; a larger number is an error
};

/// Layers 1..L: every block, without the embedding output.
struct EveryLayer {
  void check(Index layers) const { require_in("EveryLayer", "layers of the model", layers, 1, LastLayer::max_layers); }
  constexpr Index count(Index layers) const noexcept { return layers; }
  constexpr bool wants(Index layer, Index layers) const noexcept { return 1 <= layer && layer <= layers; }
  constexpr Index slot(Index layer, Index) const noexcept { return layer - 1; }
};

/// One layer, 0 (the embedding output) to L. Middle layers of untuned decoders often beat the last.
struct OneLayer {
  Index layer = 0;

  void check(Index layers) const { require_in("OneLayer", "layer", layer, 0, layers); }
  constexpr Index count(Index) const noexcept { return 1; }
  constexpr bool wants(Index k, Index) const noexcept { return k == layer; }
  constexpr Index slot(Index, Index) const noexcept { return 0; }
};

/// Layers first..last, both included.
struct LayerRange {
  Index first = 0;
  Index last = 0;

  void check(Index layers) const {
    require_in("LayerRange", "last", last, 0, layers);
    require_in("LayerRange", "first", first, 0, last);
  }
  constexpr Index count(Index) const noexcept { return last - first + 1; }
  constexpr bool wants(Index k, Index) const noexcept { return first <= k && k <= last; }
  constexpr Index slot(Index k, Index) const noexcept { return k - first; }
};

/// The layers of a list, in any order. Keys come in rising order of the layer, as a backbone makes them.
///
/// Errors  check: ShapeError for an empty list, a layer that the model has not, a layer named twice
struct LayerList {
  std::vector<Index> layers{};

  void check(Index model_layers) const {
    if (layers.empty()) throw ShapeError("LayerList: names no layer");
    for (const Index k : layers) {
      require_in("LayerList", "layer", k, 0, model_layers);
      if (std::count(layers.begin(), layers.end(), k) > 1)
        throw ShapeError("LayerList: layer " + std::to_string(k) + " is named twice");
    }
  }
  Index count(Index) const noexcept { return static_cast<Index>(layers.size()); }
  bool wants(Index k, Index) const noexcept { return std::find(layers.begin(), layers.end(), k) != layers.end(); }
  Index slot(Index k, Index) const noexcept {
    return std::count_if(layers.begin(), layers.end(), [k](Index other) { return other < k; });
  }
};

static_assert(LayersPolicy<LastLayer> && LayersPolicy<EveryLayer> && LayersPolicy<OneLayer>);
static_assert(LayersPolicy<LayerRange> && LayersPolicy<LayerList>);

}  // namespace embedpool
