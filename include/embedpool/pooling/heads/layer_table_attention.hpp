#pragma once
#include "embedpool/pooling/heads/cross_attention.hpp"

namespace embedpool {

/// CrossAttention with the learned layer table switched on: the head of multi-layer trainable pooling, where each key
/// must say which layer it came from.
struct LayerTableAttention : CrossAttention {
  constexpr LayerTableAttention() { layer_table = true; }
};
static_assert(HeadPolicy<LayerTableAttention, float> && HeadPolicy<LayerTableAttention, double>);

}  // namespace embedpool
