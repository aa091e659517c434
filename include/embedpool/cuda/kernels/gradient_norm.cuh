#pragma once
#include <cmath>

#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/tensor_chunk.cuh"

namespace embedpool::cuda {

/// Sum of squares of the gradient in every chunk, in double. A block for a chunk.
///
/// Shapes  chunks, squares [C]
struct GradientSquares {
  static constexpr int threads = 256;
  const TensorChunk* chunks;
  Index count;
  double* squares;

  LaunchShape launch_shape() const noexcept { return {count, threads / warp_size * Index(sizeof(double))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const TensorChunk& chunk = chunks[thread.block()];
    double sum = 0;
    for_values(thread, chunk.size, in_packs(chunk.gradient), [&](auto n, Index j) {
      for (const float g : load<n>(chunk.gradient + j)) sum += static_cast<double>(g) * static_cast<double>(g);
    });
    sum = block_reduce(thread, sum, Sum{}, reinterpret_cast<double*>(thread.shared()));
    if (thread.index() == 0) squares[thread.block()] = sum;
  }
};

/// What clipping needs to know of the gradients, in the device's memory.
struct GradientClip {
  float norm;    ///< of all gradients as one vector
  float factor;  ///< min(1, longest / (norm + 1e-6)), or 1 without a limit
};

/// The norm and the factor from the squares of the chunks. One block, in an order that depends on their number alone.
///
/// Oracle  embedpool::gradient_norm, embedpool::clip_gradients
struct GradientNorm {
  static constexpr int threads = 256;
  const double* squares;
  Index count;
  float longest;  ///< 0: no clipping
  GradientClip* clip;

  LaunchShape launch_shape() const noexcept { return {1, threads / warp_size * Index(sizeof(double))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    double sum = 0;
    for (Index i = thread.index(); i < count; i += threads) sum += squares[i];
    sum = block_reduce(thread, sum, Sum{}, reinterpret_cast<double*>(thread.shared()));
    if (thread.index() == 0) {
      const double norm = std::sqrt(sum), factor = static_cast<double>(longest) / (norm + 1e-6);
      clip->norm = static_cast<float>(norm);
      clip->factor = longest > 0 && factor < 1 ? static_cast<float>(factor) : 1.0f;
    }
  }
};

}  // namespace embedpool::cuda
