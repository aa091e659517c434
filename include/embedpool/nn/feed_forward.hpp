#pragma once
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/kernels/norm.hpp"
#include "embedpool/nn/compute.hpp"
#include "embedpool/nn/gate_activation.hpp"

namespace embedpool {

/// One gated feed-forward y = W_down (act(W_gate h) .* W_up h): a dense model's only one, or one expert of a mixture.
struct GatedWeights {
  WeightView gate{}, up{};  ///< [F, D]
  WeightView down{};        ///< [D, F]
};

/// The feed-forward half of a block. `router` is empty (no data) in a dense model, which has one entry in `experts`.
template <Real S>
struct FeedForwardWeights {
  std::vector<S> norm{};   ///< [D] gain of the RMSNorm in front
  WeightView router{};     ///< [experts, D]
  std::vector<GatedWeights> experts{};
};

/// The numbers of the feed-forward half that are not weights.
template <Real S>
struct FeedForwardShape {
  GateActivation activation = GateActivation::silu;
  S norm_epsilon = S(1e-5);
  Index experts_per_token = 0;  ///< 0: dense
};

/// What the dense feed-forward makes on its way: scratch for inference, and what a backward reads.
template <Real S>
struct FeedForwardCache {
  AlignedBuffer<S> normed{};  ///< [N, D]
  AlignedBuffer<S> inner{};   ///< [N, F] act(gate) .* up
};

/// The dense feed-forward half of a block: x += W_down (act(W_gate h) .* W_up h), h = RMSNorm(x).
///
/// Shapes  x [N, D], row by row: rows are independent of each other
template <Real S, ComputePolicy<S> Compute, Executor E>
void feed_forward_forward(const FeedForwardWeights<S>& w, const FeedForwardShape<S>& shape, const Compute& compute,
                          Rows<S> x, FeedForwardCache<S>& cache, E& executor) {
  const GatedWeights& gated = w.experts.front();
  const Rows<S> normed = cache.normed.rows(x.rows, x.cols);
  const Rows<S> inner = cache.inner.rows(x.rows, gated.gate.rows);
  rms_norm(Rows<const S>(x), w.norm.data(), shape.norm_epsilon, normed, executor);  // [N, D]
  with_activation(shape.activation, [&]<class Activation>() {
    compute.template gated<Activation>(compute.prepare(Rows<const S>(normed), executor), gated.gate, gated.up, inner,
                                       executor);  // [N, F]
  });
  compute.product(compute.prepare(Rows<const S>(inner), executor), gated.down, AddTo<S>{x}, executor);  // [N, D]
}

}  // namespace embedpool
