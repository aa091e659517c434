#pragma once
#include "embedpool/cuda/decoder/attention_half.cuh"
#include "embedpool/cuda/kernels/rms_norm_backward.cuh"

namespace embedpool::cuda {

/// Memory of attention_half_backward that one block after another uses.
template <DeviceElement T>
struct DeviceAttentionBackwardScratch {
  DeviceBuffer<T> dy{}, dmixed{};                     ///< [rows, D], [rows, NH d]
  DeviceBuffer<T> dquery_key_value{}, dasking_query{};  ///< as in the record
  DeviceBuffer<float> dnormed{}, dasking{}, expanded{};
  AttentionBackwardScratch attention{};
};

/// The way back: from dy in the first rows of `gradient` to dx in all N rows of it. Gradients of LoRA pairs are added to.
/// Ends after those of q, k and v where `wants_dx` is false; `gradient` is undefined then.
///
/// Shapes  x [N, D] as forward saw it, gradient [N, D] float
/// Oracle  embedpool::self_attention_training_backward
template <DeviceElement T, MaskPolicy M, Device D>
void attention_half_backward(D& device, const DeviceBlock<T>& w, const DeviceBlockPairs<T>& pairs,
                             const DeviceBlockContext<M>& at, Rows<const float> x, DeviceAttentionRecord<T>& record,
                             Rows<float> gradient, bool wants_dx, DeviceAttentionScratch<T>& scratch,
                             DeviceAttentionBackwardScratch<T>& back) {
  const DecoderConfig& config = at.config;
  const Index rows = at.asking.rows, query_width = config.query_width();
  const auto qkv = DeviceQueryKeyValue<T>::of(device, config, x.rows, rows, at.pruned(), record.query_key_value,
                                              record.asking_query);
  const Rows<T> mixed = record.mixed.rows(device, rows, query_width);

  const Rows<float> gradient_rows = gradient.middle_rows(0, rows);
  const Rows<T> dy = back.dy.rows(device, rows, x.cols), dmixed = back.dmixed.rows(device, rows, query_width);
  device.launch(Convert<float, T>{gradient_rows, dy});
  device.multiply(linear_input_gradient(Rows<const T>(dy), w.output, dmixed));
  lora_backward(device, Rows<const T>(mixed), Rows<const T>(dy), pairs.output, at.asking_dropout, record.of_output, dmixed,
                scratch.lora);

  const auto d = DeviceQueryKeyValue<T>::of(device, config, x.rows, rows, at.pruned(), back.dquery_key_value, back.dasking_query);
  masked_attention_backward(device, Rows<const T>(qkv.query), Rows<const T>(qkv.key), Rows<const T>(qkv.value),
                            Rows<const T>(mixed), Rows<const float>(record.log_sum_exp.rows(device, rows, config.heads)),
                            at.attention, at.attention_shape(), at.mask, Rows<const T>(dmixed), d.query, d.key, d.value,
                            back.attention);
  const auto turn_back = [&](Rows<T> rows_of, Index heads, const float* gain, DeviceBuffer<T>& raw, const PackedTexts& texts) {
    device.launch(HeadNormRotary<T>{rows_of, heads, nullptr, at.epsilon(), at.rotary, texts, -1});
    if (gain == nullptr) return;
    const Rows<const T> before = raw.rows(device, rows_of.rows, rows_of.cols);
    device.launch(HeadNormBackward<T>{before, heads, gain, at.epsilon(), rows_of, rows_of});  // in place
  };
  turn_back(d.query, config.heads, w.query_norm, record.raw_query, at.asking);
  turn_back(d.key, config.kv_heads, w.key_norm, record.raw_key, at.all);

  const auto [normed, asking] = detail::normed_inputs(device, w, at, x, scratch);
  const Rows<float> dnormed = wants_dx ? back.dnormed.rows(device, x.rows, x.cols) : Rows<float>();
  const Rows<float> dasking = !at.pruned() || !wants_dx ? dnormed : back.dasking.rows(device, rows, x.cols);
  const Index first = at.pruned() ? query_width : 0;
  if (wants_dx) {
    device.multiply(linear_input_gradient(Rows<const T>(d.both), w.query_key_value.middle_rows(first, d.both.cols), dnormed));
    if (at.pruned())
      device.multiply(linear_input_gradient(Rows<const T>(d.query), w.query_key_value.middle_rows(0, query_width), dasking));
  }
  lora_backward(device, normed, Rows<const T>(d.key), pairs.key, at.dropout, record.of_key, dnormed, scratch.lora);
  lora_backward(device, normed, Rows<const T>(d.value), pairs.value, at.dropout, record.of_value, dnormed, scratch.lora);
  lora_backward(device, asking, Rows<const T>(d.query), pairs.query, at.asking_dropout, record.of_query, dasking, scratch.lora);
  if (!wants_dx) return;
  if (at.pruned()) {
    device.launch(ScatterRows<float>{dasking, at.all, at.asking, dnormed});
    // The residual's own gradient moves to its tokens' places; through a second buffer, since rows move past each other.
    const Rows<float> expanded = back.expanded.rows(device, x.rows, x.cols);
    device.launch(ExpandRows<float>{gradient_rows, at.all, at.asking, expanded});
    device.copy(gradient.data, expanded.data, x.rows * x.cols * Index(sizeof(float)));
  }
  device.launch(RmsNormBackward<float, float>{x, w.attention_norm, at.epsilon(), dnormed, gradient});
}

}  // namespace embedpool::cuda
