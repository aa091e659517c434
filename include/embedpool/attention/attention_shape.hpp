#pragma once
#include "embedpool/core/types.hpp"

namespace embedpool {

/// Heads of an attention: query head h reads key/value head h / (heads / kv_heads) (grouped queries, arXiv 2305.13245).
struct AttentionShape {
  Index heads = 1;
  Index kv_heads = 1;
  Index head_dim = 1;
  double scale = 1.0;  ///< usually 1 / sqrt(head_dim)
};

}  // namespace embedpool
