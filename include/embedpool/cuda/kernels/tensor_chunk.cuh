#pragma once
#include <cstdint>

#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// A piece of a trained tensor, short enough for one block: so one launch runs over all tensors of a model.
struct TensorChunk {
  /// A multiple of every pack, so that pieces of an aligned tensor are aligned.
  static constexpr Index longest = 8192;

  float* value = nullptr;
  const float* gradient = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  std::int32_t size = 0;
  std::int32_t part = 0;  ///< which of the optimiser's rates holds
  bool decays = true;
};

/// Calls f(n, j) for the values [j, j + n) of a chunk that fall to this thread: whole packs first where `packs` says
/// that the chunk is aligned, then what is left.
template <GridThread G, class F>
EMBEDPOOL_DEVICE void for_values(const G& thread, Index size, bool packs, F&& f) {
  const Index whole = packs ? size / pack_size<float> * pack_size<float> : 0;
  for_columns<float>(thread, whole, true, f);
  for_columns<float>(thread, size - whole, false, [&](auto n, Index j) { f(n, whole + j); });
}

}  // namespace embedpool::cuda
