#pragma once
#include <cmath>
#include <limits>

#include "embedpool/attention/mask.hpp"
#include "embedpool/cuda/attention_tiles.hpp"
#include "embedpool/cuda/element.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// What every kernel of attention is given.
///
/// Shapes  q [queries, NH d], packed by the selected queries; k, v [N, NKV d], every token
template <DeviceElement T, MaskPolicy M>
struct AttentionInput {
  Rows<const T> q;
  Rows<const T> k;
  Rows<const T> v;
  AttentionBatch batch;
  int heads;
  int kv_heads;
  int head_dim;
  float scale;
  float scale_log2;  ///< scale log2(e): weights are powers of two
  M mask;

  constexpr int group() const noexcept { return heads / kv_heads; }
};

/// What the backward kernels need of a row of attention weights, p_ij = 2^(scale_log2 q_i . k_j - log2_sum).
struct alignas(16) AttentionRow {
  float log2_sum;     ///< log2 of the sum over its keys of 2^(scale_log2 q_i . k_j)
  float mean;         ///< dout_i . out_i, which is the mean of dout_i . v_j under p_i
  std::int32_t begin;  ///< its keys
  std::int32_t end;
};

inline constexpr float log2_e = 1.44269504f;
inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

/// 2^x. On a GPU one instruction, with a relative error of 2^-22; 0 for minus infinity.
EMBEDPOOL_DEVICE float power_of_two(float x) {
#ifdef __CUDA_ARCH__
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return std::exp2(x);
#endif
}

/// The first position of `range` for which `past` holds, else its end. Requires  once it holds it keeps holding
template <class Past>
EMBEDPOOL_DEVICE Index first_past(Interval range, Past&& past) {
  while (range.begin < range.end) {
    const Index middle = range.begin + (range.end - range.begin) / 2;
    if (past(middle))
      range.end = middle;
    else
      range.begin = middle + 1;
  }
  return range.begin;
}

/// The queries of `held` that see any of `keys`: bounds of the keys never fall, so they are neighbours.
template <MaskPolicy M>
EMBEDPOOL_DEVICE Interval queries_that_see(const M& mask, Interval held, const TextShape& text, Interval keys) {
  return {first_past(held, [&](Index i) { return mask.keys(i, text).end > keys.begin; }),
          first_past(held, [&](Index i) { return mask.keys(i, text).begin >= keys.end; })};
}

}  // namespace embedpool::cuda
