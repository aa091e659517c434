#pragma once
#include <cmath>

#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/heads/row_ranges.hpp"

/// Weights of keys that their kind decides.
namespace embedpool::cuda::head_kernels {

/// A warp for a text.
struct WarpOfText {
  static constexpr int warps = 4;
  Index text = 0, begin = 0, size = 0;  ///< size 0: nothing to do
  bool live = false;

  constexpr WarpOfText(const RowRanges& keys, Index item) noexcept : live(item < keys.texts) {
    if (!live) return;
    text = item;
    begin = keys.begin(item);
    size = keys.size(item);
  }
  static constexpr LaunchShape shape(const RowRanges& keys) noexcept { return {divide_up(keys.texts, warps), 0}; }
};

/// out[n] = by_kind[kind[n]]. Shapes: by_kind [kinds], kind and out [N]
struct GatherByKind {
  static constexpr int threads = 128;
  const float* by_kind;
  const Index* kind;
  float* out;
  Index keys;

  LaunchShape launch_shape() const noexcept { return {divide_up(keys, threads), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index n = thread.block() * threads + thread.index();
    if (n < keys) out[n] = by_kind[kind[n]];
  }
};

/// out = factor x. Shapes: x, out [N], factor [1] in device memory
struct TimesFactor {
  static constexpr int threads = 128;
  const float* x;
  const float* factor;
  float* out;
  Index count;

  LaunchShape launch_shape() const noexcept { return {divide_up(count, threads), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index n = thread.block() * threads + thread.index();
    if (n < count) out[n] = *factor * x[n];
  }
};

/// w[n] /= sum of the text's w, which is kept: sums [B]
///
/// Plan  a warp for a text
struct DivideBySum {
  static constexpr int threads = WarpOfText::warps * warp_size;
  RowRanges keys;
  float* w;
  float* sums;

  LaunchShape launch_shape() const noexcept { return WarpOfText::shape(keys); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const WarpOfText own(keys, thread.block() * WarpOfText::warps + thread.warp());
    float sum = 0;
    for (Index n = own.begin + thread.lane(); n < own.begin + own.size; n += warp_size) sum += w[n];
    sum = warp_reduce(thread, sum, Sum{});
    for (Index n = own.begin + thread.lane(); n < own.begin + own.size; n += warp_size) w[n] /= sum;
    if (own.live && thread.lane() == 0) sums[own.text] = sum;
  }
};

/// The way back through DivideBySum: dw[n] = (dw[n] - sum of w .* dw) / sum, in place. Shapes: w divided, dw [N]
struct DivideBySumBackward {
  static constexpr int threads = WarpOfText::warps * warp_size;
  RowRanges keys;
  const float* w;
  const float* sums;
  float* dw;

  LaunchShape launch_shape() const noexcept { return WarpOfText::shape(keys); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const WarpOfText own(keys, thread.block() * WarpOfText::warps + thread.warp());
    float along = 0;
    for (Index n = own.begin + thread.lane(); n < own.begin + own.size; n += warp_size) along += w[n] * dw[n];
    along = warp_reduce(thread, along, Sum{});
    const float sum = own.live ? sums[own.text] : 1.0f;
    for (Index n = own.begin + thread.lane(); n < own.begin + own.size; n += warp_size) dw[n] = (dw[n] - along) / sum;
  }
};

/// Weights of the mean of a text's prompt, whose keys are those of even kinds: 1 / how many, and 0 for other keys.
///
/// Plan    a warp for a text
/// Shapes  kind, out [N]
struct PromptWeights {
  static constexpr int threads = WarpOfText::warps * warp_size;
  RowRanges keys;
  const Index* kind;
  float* out;

  LaunchShape launch_shape() const noexcept { return WarpOfText::shape(keys); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const WarpOfText own(keys, thread.block() * WarpOfText::warps + thread.warp());
    int prompts = 0;
    for (Index n = own.begin + thread.lane(); n < own.begin + own.size; n += warp_size) prompts += kind[n] % 2 == 0;
    prompts = warp_reduce(thread, prompts, Sum{});
    for (Index n = own.begin + thread.lane(); n < own.begin + own.size; n += warp_size)
      out[n] = kind[n] % 2 == 0 ? 1.0f / static_cast<float>(prompts) : 0.0f;
  }
};

/// z[n] = -infinity for keys of the prompt, so that a softmax leaves them out. Shapes: kind, z [N]
struct HidePrompt {
  static constexpr int threads = 128;
  const Index* kind;
  float* z;
  Index keys;

  LaunchShape launch_shape() const noexcept { return {divide_up(keys, threads), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index n = thread.block() * threads + thread.index();
    if (n < keys && kind[n] % 2 == 0) z[n] = -HUGE_VALF;
  }
};

}  // namespace embedpool::cuda::head_kernels
