#pragma once
#include <optional>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/kernels/rotary.hpp"
#include "embedpool/nn/feed_forward.hpp"
#include "embedpool/nn/mixture_of_experts.hpp"
#include "embedpool/nn/self_attention.hpp"

namespace embedpool {

/// The scratch memory of Decoder::forward. Keep one per caller and pass it to every call: once it has met the largest
/// batch, buffers are used again and not allocated. One call at a time; any decoder may use it.
template <Real S>
class DecoderWorkspace {
 public:
  AlignedBuffer<S> residual{};  ///< [N, D] the residual stream
  AlignedBuffer<S> normed{};    ///< [N, D] the last layer after the final norm
  SelfAttentionCache<S> attention{};
  FeedForwardCache<S> feed_forward{};
  MixtureCache<S> mixture{};
  AlignedBuffer<S> repeated{};  ///< [N, D] every token's row of a layer that is pushed, when texts share rows

  /// cos and sin for at least `positions` positions; made anew only for longer texts or another model.
  const RotaryTable<S>& rotary(const std::vector<double>& inverse_frequencies, Index positions) {
    if (!table_ || positions > positions_ || inverse_frequencies != inverse_frequencies_) {
      positions_ = 64;
      while (positions_ < positions) positions_ *= 2;
      inverse_frequencies_ = inverse_frequencies;
      table_.emplace(std::span<const double>(inverse_frequencies_), positions_);
    }
    return *table_;
  }

 private:
  std::optional<RotaryTable<S>> table_;
  std::vector<double> inverse_frequencies_;
  Index positions_ = 0;
};

}  // namespace embedpool
