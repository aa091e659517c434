#pragma once
#include <array>
#include <cmath>

#include "embedpool/cuda/kernels/gradient_norm.cuh"

namespace embedpool::cuda {

/// One AdamW step with decoupled weight decay on every chunk, in the CPU's order of operations. A block for a chunk.
///
///   g = clip.factor gradient,  m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   w = shrink w - step m / (sqrt(v correction) + epsilon)
///
/// Shapes  chunks [C]; clip null: gradients as they are
/// Oracle  embedpool::AdamW::update
struct AdamWUpdate {
  static constexpr int threads = 256;
  static constexpr int most_parts = 4;
  /// What the learning rate of a part gives.
  struct Rate {
    float shrink = 1;  ///< 1 - rate decay
    float step = 0;    ///< rate / (1 - b1^t)
  };

  const TensorChunk* chunks;
  Index count;
  const GradientClip* clip;
  float beta1;
  float beta2;
  float epsilon;
  float correction;  ///< 1 / (1 - b2^t)
  std::array<Rate, most_parts> rates{};

  LaunchShape launch_shape() const noexcept { return {count, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const TensorChunk chunk = chunks[thread.block()];
    const Rate rate = rates[static_cast<std::size_t>(chunk.part)];
    const float factor = clip ? clip->factor : 1.0f, shrink = chunk.decays ? rate.shrink : 1.0f;
    const bool packs = in_packs(chunk.value) && in_packs(chunk.gradient) && in_packs(chunk.first_moment) &&
                       in_packs(chunk.second_moment);
    for_values(thread, chunk.size, packs, [&](auto n, Index j) {
      const auto gradient = load<n>(chunk.gradient + j);
      auto w = load<n>(chunk.value + j), m = load<n>(chunk.first_moment + j), v = load<n>(chunk.second_moment + j);
      for (std::size_t i = 0; i < n; ++i) {
        const float g = gradient[i] * factor;
        m[i] = beta1 * m[i] + (1.0f - beta1) * g;
        v[i] = beta2 * v[i] + (1.0f - beta2) * (g * g);
        w[i] = w[i] * shrink - rate.step * m[i] / (std::sqrt(v[i] * correction) + epsilon);
      }
      store(chunk.first_moment + j, m);
      store(chunk.second_moment + j, v);
      store(chunk.value + j, w);
    });
  }
};

}  // namespace embedpool::cuda
