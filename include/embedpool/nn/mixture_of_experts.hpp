#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "embedpool/nn/feed_forward.hpp"

namespace embedpool {

/// The experts of each token and their weights.
template <Real S>
struct Routing {
  Index per_token = 0;
  std::vector<Index> expert{};  ///< [N, per_token], each row in rising order
  std::vector<S> weight{};      ///< [N, per_token], each row sums to 1
};

/// Scratch and cache of a mixture of experts.
template <Real S>
struct MixtureCache {
  AlignedBuffer<S> normed{};    ///< [N, D]
  AlignedBuffer<S> logits{};    ///< [N, experts]
  AlignedBuffer<S> gathered{};  ///< [rows of one expert, D]
  AlignedBuffer<S> inner{};     ///< [rows of one expert, F]
  AlignedBuffer<S> result{};    ///< [rows of one expert, D]
  Routing<S> routing{};
  std::vector<Index> rows{};    ///< tokens of one expert
};

/// Routes one token: softmax over all experts, the largest `per_token` are kept (of equal ones the first) and their
/// weights divided by their sum. The softmax's own sum cancels in that division.
///
/// Shapes  logits [experts] -> expert, weight [per_token], in rising order of the expert
template <Real S>
void route_token(std::span<const S> logits, std::span<Index> expert, std::span<S> weight) noexcept {
  const auto per_token = static_cast<Index>(expert.size());
  const S peak = *std::max_element(logits.begin(), logits.end());
  Index kept = 0;
  for (Index e = 0; e < static_cast<Index>(logits.size()); ++e) {
    // e is kept when fewer than per_token experts come before it in the order (logit falling, number rising).
    Index ahead = 0;
    for (Index other = 0; other < static_cast<Index>(logits.size()); ++other) {
      const S a = logits[static_cast<std::size_t>(other)], b = logits[static_cast<std::size_t>(e)];
      ahead += a > b || (a == b && other < e);
    }
    if (ahead >= per_token || kept == per_token) continue;
    expert[static_cast<std::size_t>(kept)] = e;
    weight[static_cast<std::size_t>(kept)] = std::exp(logits[static_cast<std::size_t>(e)] - peak);
    ++kept;
  }
  // Only NaN logits, which rank nowhere, can leave places empty; they must not leave them undefined.
  for (; kept < per_token; ++kept) {
    expert[static_cast<std::size_t>(kept)] = kept;
    weight[static_cast<std::size_t>(kept)] = peak;
  }
  S sum = 0;
  for (const S value : weight) sum += value;
  for (S& value : weight) value /= sum;
}

/// The feed-forward half of a block with experts: x += sum over a token's experts e of weight_e FFN_e(RMSNorm(x)).
///
/// Shapes  x [N, D]. A token's experts are added in rising order, so its result does not depend on its neighbours. The
///         router is computed in S whatever the policy: a rounded logit could choose other experts.
/// Source  Mixtral, arXiv 2401.04088, section 2.1
template <Real S, ComputePolicy<S> Compute, Executor E>
void mixture_forward(const FeedForwardWeights<S>& w, const FeedForwardShape<S>& shape, const Compute& compute, Rows<S> x,
                     MixtureCache<S>& cache, E& executor) {
  const auto experts = static_cast<Index>(w.experts.size());
  const Rows<S> normed = cache.normed.rows(x.rows, x.cols);
  const Rows<S> logits = cache.logits.rows(x.rows, experts);
  rms_norm(Rows<const S>(x), w.norm.data(), shape.norm_epsilon, normed, executor);
  gemm_nt(Rows<const S>(normed), w.router, StoreTo<S>{logits}, executor);

  Routing<S>& routing = cache.routing;
  routing.per_token = shape.experts_per_token;
  const auto per_token = static_cast<std::size_t>(routing.per_token);
  routing.expert.resize(static_cast<std::size_t>(x.rows) * per_token);
  routing.weight.resize(static_cast<std::size_t>(x.rows) * per_token);
  for (Index i = 0; i < x.rows; ++i)
    route_token<S>(logits.row(i), std::span(routing.expert).subspan(static_cast<std::size_t>(i) * per_token, per_token),
                   std::span(routing.weight).subspan(static_cast<std::size_t>(i) * per_token, per_token));

  for (Index e = 0; e < experts; ++e) {
    std::vector<Index>& places = cache.rows;  // entries of the routing that name this expert
    places.clear();
    for (std::size_t place = 0; place < routing.expert.size(); ++place)
      if (routing.expert[place] == e) places.push_back(static_cast<Index>(place));
    if (places.empty()) continue;
    const auto count = static_cast<Index>(places.size());
    const GatedWeights& gated = w.experts[static_cast<std::size_t>(e)];
    const Rows<S> gathered = cache.gathered.rows(count, x.cols);
    const Rows<S> inner = cache.inner.rows(count, gated.gate.rows);
    const Rows<S> result = cache.result.rows(count, x.cols);
    for (Index r = 0; r < count; ++r) {
      const auto source = normed.row(places[static_cast<std::size_t>(r)] / routing.per_token);
      std::copy(source.begin(), source.end(), gathered.row_data(r));
    }
    with_activation(shape.activation, [&]<class Activation>() {
      compute.template gated<Activation>(compute.prepare(Rows<const S>(gathered), executor), gated.gate, gated.up,
                                         inner, executor);
    });
    compute.product(compute.prepare(Rows<const S>(inner), executor), gated.down, StoreTo<S>{result}, executor);
    executor.parallel_for(count, [&](Index r, Index) {
      const Index place = places[static_cast<std::size_t>(r)];
      const S weight = routing.weight[static_cast<std::size_t>(place)];
      S* const out = x.row_data(place / routing.per_token);
      const S* const y = result.row_data(r);
      for (Index j = 0; j < x.cols; ++j) out[j] += weight * y[j];
    });
  }
}

}  // namespace embedpool
