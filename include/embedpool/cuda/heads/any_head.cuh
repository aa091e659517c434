#pragma once
#include <memory>

#include "embedpool/cuda/heads/additive_attention.cuh"
#include "embedpool/cuda/heads/concatenate.cuh"
#include "embedpool/cuda/heads/cross_attention.cuh"
#include "embedpool/cuda/heads/identity.cuh"
#include "embedpool/cuda/heads/latent_attention.cuh"
#include "embedpool/cuda/heads/layer_attention.cuh"
#include "embedpool/cuda/heads/layer_mean.cuh"
#include "embedpool/cuda/heads/layer_mix.cuh"
#include "embedpool/cuda/heads/perceiver_head.cuh"
#include "embedpool/cuda/heads/single_query_attention.cuh"
#include "embedpool/cuda/heads/task_query_attention.cuh"
#include "embedpool/cuda/heads/weighted_layers.cuh"
#include "embedpool/pooling/any_head.hpp"

namespace embedpool::cuda {

namespace detail {
/// One device head of those that a variant lists.
template <class Variant, class D>
struct OneOfHeads;
template <class... Heads, class D>
struct OneOfHeads<std::variant<Heads...>, D> {
  using type = std::variant<std::unique_ptr<DeviceHead<Heads, D>>...>;
};
}  // namespace detail

/// A head chosen at run time: the device version of the one that it holds.
///
/// Errors  ShapeError when the parameters are another head's
template <Device D>
class DeviceHead<AnyHead, D> {
 public:
  using Params = AnyHead::Params<float>;

  DeviceHead(D& device, const AnyHead& head, const Params& params) : head_(head) {
    std::visit(
        [&]<class Head>(const Head& own) {
          held_ = std::make_unique<DeviceHead<Head, D>>(device, own, of<Head>(params));
        },
        head.variant());
  }

  void upload(D& device, const Params& params) {
    visit([&]<class Head>(DeviceHead<Head, D>& head) { head.upload(device, of<Head>(params)); });
  }
  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    visit([&](auto& head) { head.forward(device, keys, out); });
  }
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    visit([&](auto& head) { head.backward(device, keys, de, dkeys); });
  }
  void clear_gradients(D& device) {
    visit([&](auto& head) { head.clear_gradients(device); });
  }
  template <class F>
  void for_each(F&& f) const {
    std::visit([&](const auto& head) { head->for_each(f); }, held_);
  }
  Index output_width(Index width) const { return head_.output_width(width); }

 private:
  /// The parameters of `Head` among those of any head.
  template <class Head, class AnyParams>
  static auto& of(AnyParams& params) {
    using Held = embedpool::detail::Held<Head, typename Head::template Params<float>>;
    auto* const held = std::get_if<Held>(&params.value);
    if (held == nullptr) throw ShapeError("DeviceHead: the parameters are those of another head");
    return held->value;
  }
  template <class F>
  void visit(F&& f) {
    std::visit([&](auto& head) { f(*head); }, held_);
  }

  AnyHead head_;
  typename detail::OneOfHeads<AnyHead::Variant, D>::type held_;
};

}  // namespace embedpool::cuda
