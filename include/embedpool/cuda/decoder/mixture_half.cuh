#pragma once
#include "embedpool/cuda/decoder/feed_forward_half.cuh"
#include "embedpool/cuda/kernels/experts/expert_product.cuh"
#include "embedpool/cuda/kernels/experts/expert_rows.cuh"

namespace embedpool::cuda {

/// Memory that one block after another uses.
///
/// Memory  with T of two bytes, per token 4 D + 4 E, and for each of its experts 6 D + 6 F + 16 bytes
template <DeviceElement T>
struct DeviceMixtureScratch {
  DeviceBuffer<float> normed{};                         ///< [N, D]
  DeviceBuffer<float> logits{}, weight{};               ///< [N, E], [N, per token]
  DeviceBuffer<std::int32_t> expert{};                  ///< [N, per token]
  DeviceBuffer<std::int32_t> first{}, place{}, slot{};  ///< ExpertSlots
  DeviceBuffer<T> gathered{}, gate_up{};                ///< by slots: [places, D], [places, 2 F]
  DeviceBuffer<float> result{};                         ///< by slots: [places, D]
  DeviceFeedForwardScratch<T> feed_forward{};
};

/// The feed-forward half of a block with experts: x += sum over a token's experts e of weight_e FFN_e(RMSNorm(x)).
///
/// Each expert multiplies the rows of its tokens alone, and how many these are only the device knows. The router is computed
/// in float whatever T is: a rounded logit could choose other experts.
///
/// Shapes  x [N, D]
/// Oracle  embedpool::mixture_forward
template <DeviceElement T, Device D>
void mixture_half_forward(D& device, const DeviceBlock<T>& w, const DecoderConfig& config, Rows<float> x,
                          DeviceMixtureScratch<T>& scratch) {
  const Rows<float> normed = scratch.normed.rows(device, x.rows, x.cols);
  const Rows<float> logits = scratch.logits.rows(device, x.rows, config.experts);
  device.launch(RmsNorm<float, float>{x, w.feed_forward_norm, static_cast<float>(config.norm_epsilon), normed});
  device.multiply(linear(Rows<const float>(normed), w.router, logits));

  const Index per_token = config.experts_per_token, places = x.rows * per_token;
  const DeviceRouting routing{x.rows, per_token, scratch.expert.reserve(device, places), scratch.weight.reserve(device, places)};
  const ExpertSlots slots{config.experts, scratch.first.reserve(device, config.experts + 1),
                          scratch.place.reserve(device, places), scratch.slot.reserve(device, places)};
  device.launch(RouteTokens{logits, routing});
  device.launch(OrderPlaces{routing, slots});

  const Rows<T> gathered = scratch.gathered.rows(device, places, x.cols);
  const Rows<T> gate_up = scratch.gate_up.rows(device, places, 2 * w.down.cols);
  const Rows<float> result = scratch.result.rows(device, places, x.cols);
  device.launch(GatherExpertRows<T>{normed, routing, slots, gathered});
  multiply_experts(device, ExpertProduct<T, T>{gathered, w.gate_up, slots.first, slots.experts, gate_up});
  const Rows<const T> inner = detail::gated_inner(device, config.activation, Rows<const T>(gate_up), scratch.feed_forward);
  multiply_experts(device, ExpertProduct<T, float>{inner, w.down, slots.first, slots.experts, result});
  device.launch(AddExperts{result, routing, slots, x});
}

}  // namespace embedpool::cuda
