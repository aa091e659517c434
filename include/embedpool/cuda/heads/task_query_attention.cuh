#pragma once
#include <cmath>

#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/head_sums.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"
#include "embedpool/cuda/kernels/heads/kind_weights.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/task_query_attention.hpp"

namespace embedpool::cuda {

/// t = mean of the prompt's keys,  q = query + t W^T,  e = softmax(H q / sqrt(D)) H over the text's own keys
///
/// Oracle  embedpool::TaskQueryAttention
template <Device D>
class DeviceHead<TaskQueryAttention, D> : public DeviceHeadBase<TaskQueryAttention> {
 public:
  DeviceHead(D& device, const TaskQueryAttention& head, const Params& params)
      : DeviceHeadBase<TaskQueryAttention>(device, head, params) {
    head.check(params, params.query.cols(), 2);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    const Rows<const float> query = value("query");
    require_fit("TaskQueryAttention head", keys, query.cols, out);
    require_equal("TaskQueryAttention head", "kinds of keys modulo 2", keys.kinds % 2, 0);
    const Index count = keys.rows.rows;
    prompt_weights_ = prompt_weights_buffer_.rows(device, 1, count);
    weights_ = weights_buffer_.rows(device, 1, count);
    prompt_ = prompt_buffer_.rows(device, keys.texts, query.cols);
    turned_ = turned_buffer_.rows(device, keys.texts, query.cols);
    device.launch(head_kernels::PromptWeights{ranges_of(keys), keys.kind, prompt_weights_.data});
    device.launch(head_kernels::KeyMix{ranges_of(keys), prompt_weights_, keys.rows, prompt_});
    device.launch(head_kernels::AddRows{query, turned_, false});
    device.multiply(linear(Rows<const float>(prompt_), value("task.weight"), turned_, 1));
    device.launch(head_kernels::KeyScores{ranges_of(keys), turned_, keys.rows, weights_, 1, scale()});
    device.launch(head_kernels::HidePrompt{keys.kind, weights_.data, count});
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), weights_});
    device.launch(head_kernels::KeyMix{ranges_of(keys), weights_, keys.rows, out});
  }

  /// dz = softmax'(H de) / sqrt(D),  dq = H^T dz,  dH += a de^T + dz q^T,
  /// dquery += dq,  dW += dq^T t,  dt = dq W, shared by the keys of the prompt
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    const Index width = value("query").cols;
    require_fit("TaskQueryAttention head", keys, width, de);
    require_gradient("TaskQueryAttention head", keys, dkeys);
    const Rows<float> dz = dz_.rows(device, 1, keys.rows.rows);
    const Rows<float> dq = dq_.rows(device, keys.texts, width), dprompt = dprompt_.rows(device, keys.texts, width);
    device.launch(head_kernels::KeyScores{ranges_of(keys), de, keys.rows, dz});
    device.launch(head_kernels::SegmentSoftmaxBackward{ranges_of(keys), weights_, dz, dz, scale()});
    device.launch(head_kernels::KeyMix{ranges_of(keys), dz, keys.rows, dq});
    sums_.add_columns(device, dq, gradient("query"));
    device.multiply(linear_weight_gradient(Rows<const float>(dq), Rows<const float>(prompt_), gradient("task.weight"), 1));
    device.multiply(linear_input_gradient(Rows<const float>(dq), value("task.weight"), dprompt));
    device.launch(head_kernels::KeySpread{ranges_of(keys), weights_, de, dkeys, 1, true});
    device.launch(head_kernels::KeySpread{ranges_of(keys), dz, turned_, dkeys, 1, true});
    device.launch(head_kernels::KeySpread{ranges_of(keys), prompt_weights_, dprompt, dkeys, 1, true});
  }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(value("query").cols)); }

  HeadSums sums_;
  DeviceBuffer<float> prompt_weights_buffer_, weights_buffer_, prompt_buffer_, turned_buffer_, dz_, dq_, dprompt_;
  Rows<float> prompt_weights_, weights_;  // [1, N]
  Rows<float> prompt_, turned_;           // t and q [B, D]
};

}  // namespace embedpool::cuda
