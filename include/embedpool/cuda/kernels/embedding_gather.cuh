#pragma once
#include "embedpool/core/types.hpp"
#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// The residual stream's beginning: out[i] = scale * table[ids[i]]. A block for a token.
///
/// Shapes    table [vocabulary, D], ids [N], out [N, D]
/// Requires  0 <= ids[i] < vocabulary
/// Oracle    the definition
template <DeviceElement T>
struct EmbeddingGather {
  static constexpr int threads = 128;
  Rows<const T> table;
  const TokenId* ids;
  float scale;
  Rows<float> out;

  LaunchShape launch_shape() const noexcept { return {out.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = table.row_data(ids[thread.block()]);
    float* const to = out.row_data(thread.block());
    for_columns<float>(thread, out.cols, in_packs(table) && in_packs(out), [&](auto n, Index j) {
      auto values = load<n>(from + j);
      for (float& value : values) value *= scale;
      store(to + j, values);
    });
  }
};

}  // namespace embedpool::cuda
