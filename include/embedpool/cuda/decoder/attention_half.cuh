#pragma once
#include "embedpool/cuda/decoder/block_context.cuh"
#include "embedpool/cuda/kernels/gather_rows.cuh"
#include "embedpool/cuda/kernels/head_norm_rotary.cuh"
#include "embedpool/cuda/kernels/rms_norm.cuh"
#include "embedpool/cuda/masked_attention.cuh"

namespace embedpool::cuda {

/// What the attention half of a block makes on its way and its backward reads, besides the block's input.
///
/// Memory  (2 NH + 2 NKV) d values a token, (NH + 2 NKV) d more with q/k norms, and r for each LoRA pair
template <DeviceElement T>
struct DeviceAttentionRecord {
  DeviceBuffer<T> query_key_value{};  ///< [N, (NH + 2 NKV) d] after norm and rotation; pruned: keys and values alone
  DeviceBuffer<T> asking_query{};     ///< [rows, NH d], only when pruned
  DeviceBuffer<T> raw_query{}, raw_key{};  ///< before the norm over heads; only in models that have it
  DeviceBuffer<T> mixed{};                 ///< [rows, NH d] attention output before the output projection
  DeviceBuffer<float> log_sum_exp{};       ///< [rows, NH]
  DeviceLoraProducts<T> of_query{}, of_key{}, of_value{}, of_output{};
};

/// Memory that one block after another uses.
template <DeviceElement T>
struct DeviceAttentionScratch {
  DeviceBuffer<T> normed{}, asking{};  ///< [N, D], [rows, D]
  DeviceLoraScratch<T> lora{};
};

/// Queries, keys and values as views of a record.
template <DeviceElement T>
struct DeviceQueryKeyValue {
  Rows<T> both{};                     ///< everything that one product over all tokens makes
  Rows<T> query{}, key{}, value{};

  template <Device D>
  static DeviceQueryKeyValue of(D& device, const DecoderConfig& config, Index tokens, Index asking, bool pruned,
                                DeviceBuffer<T>& shared, DeviceBuffer<T>& asking_query) {
    const Index query = config.query_width(), kv = config.kv_width(), first = pruned ? 0 : query;
    const Rows<T> both = shared.rows(device, tokens, first + 2 * kv);
    return {both, pruned ? asking_query.rows(device, asking, query) : both.middle_cols(0, query),
            both.middle_cols(first, kv), both.middle_cols(first + kv, kv)};
  }
};

namespace detail {
/// h = RMSNorm(x) of every token, and of those that ask.
template <DeviceElement T, MaskPolicy M, Device D>
std::pair<Rows<const T>, Rows<const T>> normed_inputs(D& device, const DeviceBlock<T>& w, const DeviceBlockContext<M>& at,
                                                      Rows<const float> x, DeviceAttentionScratch<T>& scratch) {
  const Rows<T> normed = scratch.normed.rows(device, x.rows, x.cols);
  device.launch(RmsNorm<float, T>{x, w.attention_norm, at.epsilon(), normed});
  if (!at.pruned()) return {normed, normed};
  const Rows<T> asking = scratch.asking.rows(device, at.asking.rows, x.cols);
  device.launch(GatherRows<T>{normed, at.all, at.asking, asking});
  return {normed, asking};
}

/// A copy of `rows` for a backward through the norm over heads.
template <DeviceElement T, Device D>
void keep_raw(D& device, Rows<const T> rows, DeviceBuffer<T>& raw) {
  device.launch(Convert<T, T>{rows, raw.rows(device, rows.rows, rows.cols)});
}
}  // namespace detail

/// y = x + W_o attention(rotate(norm(W_q h)), rotate(norm(W_k h)), W_v h) with h = RMSNorm(x), for the tokens that ask.
///
/// Shapes  x [N, D], y [rows, D]; y may be x when nothing is pruned
/// Oracle  embedpool::self_attention_training_forward
template <DeviceElement T, MaskPolicy M, Device D>
void attention_half_forward(D& device, const DeviceBlock<T>& w, const DeviceBlockPairs<T>& pairs,
                            const DeviceBlockContext<M>& at, Rows<const float> x, Rows<float> y,
                            DeviceAttentionRecord<T>& record, DeviceAttentionScratch<T>& scratch, bool keep_raw) {
  const DecoderConfig& config = at.config;
  const auto [normed, asking] = detail::normed_inputs(device, w, at, x, scratch);
  const auto qkv = DeviceQueryKeyValue<T>::of(device, config, x.rows, y.rows, at.pruned(), record.query_key_value,
                                              record.asking_query);
  const Index query_width = config.query_width(), first = at.pruned() ? query_width : 0;
  const T* const bias = w.query_key_value_bias;
  device.multiply(linear(normed, w.query_key_value.middle_rows(first, qkv.both.cols), qkv.both, 0, bias ? bias + first : bias));
  if (at.pruned()) device.multiply(linear(asking, w.query_key_value.middle_rows(0, query_width), qkv.query, 0, bias));
  lora_forward(device, asking, pairs.query, at.asking_dropout, qkv.query, record.of_query, scratch.lora);
  lora_forward(device, normed, pairs.key, at.dropout, qkv.key, record.of_key, scratch.lora);
  lora_forward(device, normed, pairs.value, at.dropout, qkv.value, record.of_value, scratch.lora);

  if (keep_raw && w.query_norm) {
    detail::keep_raw(device, Rows<const T>(qkv.query), record.raw_query);
    detail::keep_raw(device, Rows<const T>(qkv.key), record.raw_key);
  }
  const auto turn = [&](Rows<T> rows, Index heads, const float* gain, const PackedTexts& texts) {
    device.launch(HeadNormRotary<T>{rows, heads, gain, at.epsilon(), at.rotary, texts});
  };
  turn(qkv.query, config.heads, w.query_norm, at.asking);
  turn(qkv.key, config.kv_heads, w.key_norm, at.all);

  const Rows<T> mixed = record.mixed.rows(device, y.rows, query_width);
  masked_attention(device, Rows<const T>(qkv.query), Rows<const T>(qkv.key), Rows<const T>(qkv.value), at.attention,
                   at.attention_shape(), at.mask, mixed, record.log_sum_exp.rows(device, y.rows, config.heads));
  if (at.pruned())
    device.launch(GatherRows<float>{x, at.all, at.asking, y});
  else if (y.data != x.data)
    device.copy(y.data, x.data, x.rows * x.cols * Index(sizeof(float)));
  device.multiply(linear(Rows<const T>(mixed), w.output, y, 1, w.output_bias));  // y += mixed W_o^T + b_o
  lora_forward(device, Rows<const T>(mixed), pairs.output, at.asking_dropout, y, record.of_output, scratch.lora);
}

}  // namespace embedpool::cuda
