#pragma once
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "embedpool/nn/compute.hpp"
#include "embedpool/nn/feed_forward.hpp"
#include "embedpool/nn/self_attention.hpp"

namespace embedpool {

/// Products in S of weights that were decoded and packed once: the bits of FullPrecision, without the decoding that a
/// product of few rows does not repay. Costs all weights in S a second time: for few texts at a time, where memory is no
/// matter.
///
/// Copies share the packed weights. Weights that were not packed are decoded as they are met. They are known by where they
/// lie: the weights that were packed outlive this.
template <Real S>
class PackedCompute {
 public:
  PackedCompute() : packed_(std::make_shared<Packed>()) {}

  /// Packs every linear map of `blocks` (DecoderWeights::blocks).
  template <class Blocks, Executor E>
  PackedCompute(const Blocks& blocks, E& executor) : PackedCompute() {
    for (const auto& block : blocks) {
      const SelfAttentionWeights<S>& attention = block.attention;
      for (const WeightView* w : {&attention.query, &attention.key, &attention.value, &attention.output})
        packed_->maps.try_emplace(w->data, *w, executor);
      for (const GatedWeights& gated : block.feed_forward.experts) {
        packed_->gated.try_emplace({gated.gate.data, gated.up.data}, gated.gate, gated.up, executor);
        packed_->maps.try_emplace(gated.down.data, gated.down, executor);
      }
    }
  }

  template <Executor E>
  Rows<const S> prepare(Rows<const S> x, E&) const noexcept {
    return x;
  }
  template <class Epilogue, Executor E>
  void product(Rows<const S> x, const WeightView& w, const Epilogue& epilogue, E& executor) const {
    const auto found = packed_->maps.find(w.data);
    if (found != packed_->maps.end())
      gemm_nt(x, found->second, epilogue, executor);
    else
      gemm_nt(x, w, epilogue, executor);
  }
  template <class Activation, Executor E>
  void gated(Rows<const S> x, const WeightView& gate, const WeightView& up, Rows<S> y, E& executor) const {
    const auto found = packed_->gated.find({gate.data, up.data});
    if (found != packed_->gated.end())
      gemm_nt_gated<Activation>(x, found->second, y, executor);
    else
      gemm_nt_gated<Activation>(x, gate, up, y, executor);
  }

 private:
  struct Packed {
    std::unordered_map<const std::byte*, PackedWeight<S>> maps;        ///< by where the matrix is stored
    std::map<std::pair<const std::byte*, const std::byte*>, PackedGatedWeight<S>> gated;  ///< by gate and up
  };
  std::shared_ptr<Packed> packed_;
};

static_assert(ComputePolicy<PackedCompute<float>, float>);

}  // namespace embedpool
