#pragma once
#include "embedpool/attention/attention_shape.hpp"
#include "embedpool/cuda/attention_tiles.hpp"
#include "embedpool/cuda/decoder/decoder_weights.cuh"
#include "embedpool/cuda/decoder/lora_linear.cuh"
#include "embedpool/cuda/kernels/head_norm_rotary.cuh"

namespace embedpool::cuda {

/// What the halves of a block need to know of the batch. `asking` are the tokens whose states are wanted after the block;
/// with fewer than all, the maps behind the attention and the queries see only those.
template <MaskPolicy M>
struct DeviceBlockContext {
  const DecoderConfig& config;
  const M& mask;
  const AttentionBatch& attention;  ///< queries: those of `asking`
  PackedTexts all{}, asking{};
  DeviceRotary rotary{};
  DeviceDropout dropout{}, asking_dropout{};

  bool pruned() const noexcept { return asking.rows < all.rows; }
  AttentionShape attention_shape() const noexcept {
    return {config.heads, config.kv_heads, config.head_dim, config.attention_scale()};
  }
  float epsilon() const noexcept { return static_cast<float>(config.norm_epsilon); }
};

/// LoRA pairs of the seven maps of a block.
template <DeviceElement T>
struct DeviceBlockPairs {
  DevicePairs<T> query{}, key{}, value{}, output{}, gate{}, up{}, down{};

  static DeviceBlockPairs of(const DeviceAdapter<T>& adapter, Index block) {
    using K = DecoderTensor;
    const auto pairs = [&](K kind) { return adapter.pairs_of(kind, block); };
    return {pairs(K::query), pairs(K::key), pairs(K::value), pairs(K::output), pairs(K::gate), pairs(K::up), pairs(K::down)};
  }
};

}  // namespace embedpool::cuda
