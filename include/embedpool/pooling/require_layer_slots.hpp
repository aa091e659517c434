#pragma once
#include <string>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Throws ShapeError unless a policy numbers the layers that it wants as LayersPolicy says: their slots are places in memory.
template <LayersPolicy Layers>
void require_layer_slots(const Layers& policy, Index layers) {
  Index wanted = 0;
  for (Index k = 0; k <= layers; ++k) {
    if (!policy.wants(k, layers)) continue;
    if (const Index slot = policy.slot(k, layers); slot != wanted) [[unlikely]]
      require_equal("Pooling", "the slot of layer " + std::to_string(k), slot, wanted);
    ++wanted;
  }
  require_equal("Pooling", "the number of layers that are wanted", policy.count(layers), wanted);
  if (wanted == 0) throw ShapeError("Pooling: no layer is wanted");
}

}  // namespace embedpool
