#pragma once
#include <optional>

#include "embedpool/pooling/any_head.hpp"

/// How much each key counts in a head's mean of them.
namespace embedpool {

namespace detail {
/// The mean over heads and queries of attention weights.
template <Real S>
RowVector<S> mean_weights(const head_math::AttentionCache<S>& attention) {
  RowVector<S> sum = attention.weights.front().colwise().mean();
  for (std::size_t h = 1; h < attention.weights.size(); ++h) sum += attention.weights[h].colwise().mean();
  return sum / static_cast<S>(attention.weights.size());
}

template <Real S>
RowVector<S> weights_of(const LayerMix&, const LayerMix::Cache<S>& cache) {
  return cache.weights.row(0);
}
template <Real S>
RowVector<S> weights_of(const WeightedLayers&, const WeightedLayers::Cache<S>& cache) {
  return cache.weights / cache.weights.sum();
}
template <Real S>
RowVector<S> weights_of(const SingleQueryAttention&, const SingleQueryAttention::Cache<S>& cache) {
  return cache.weights.row(0);
}
template <Real S>
RowVector<S> weights_of(const TaskQueryAttention&, const TaskQueryAttention::Cache<S>& cache) {
  return cache.weights.row(0);
}
template <Real S>
RowVector<S> weights_of(const AdditiveAttention&, const AdditiveAttention::Cache<S>& cache) {
  return cache.weights.row(0);
}
template <Real S>
RowVector<S> weights_of(const LayerAttention& head, const LayerAttention::Cache<S>& cache) {
  if (head.heads == 0) return cache.weights.row(0);
  return mean_weights(cache.attend.attention);
}
template <Real S>
RowVector<S> weights_of(const CrossAttention&, const CrossAttention::Cache<S>& cache) {
  return mean_weights(cache.attend.attention);
}
template <Real S>
RowVector<S> weights_of(const PerceiverHead&, const PerceiverHead::Cache<S>& cache) {
  return mean_weights(cache.attend.attention);
}
}  // namespace detail

/// The share of each key of a text in what a head takes from its keys, by the head's own forward pass:
///
///   layer-mix, single-query, additive, layer-attention    the softmax weights
///   task-query                                            the same, and 0 for keys of the prompt
///   weighted-layers                                       w_k / sum w, of any sign
///   layer-attention with heads, cross-attention,          attention weights, the mean over heads and queries
///   perceiver
///
/// Shares sum to 1. What stands beside attention in a head (its residual, its feed-forward) is not in them. Heads that
/// weigh all keys alike or that do not weigh them (mean, identity, concatenate, latent-attention) have none.
/// Shapes  keys [n, D] -> [n]
/// Cost    the head's plain forward pass
template <Real S>
std::optional<RowVector<S>> key_weights(const AnyHead& head, const AnyHead::Params<S>& params, const Keys<S>& keys) {
  return std::visit(
      [&]<class Head>(const Head& own) -> std::optional<RowVector<S>> {
        using Params = typename Head::template Params<S>;
        typename Head::template Cache<S> cache;
        if constexpr (requires { detail::weights_of<S>(own, cache); }) {
          own.forward(std::get<detail::Held<Head, Params>>(params.value).value, keys, cache);
          return detail::weights_of<S>(own, cache);
        } else {
          return std::nullopt;
        }
      },
      head.variant());
}

}  // namespace embedpool
