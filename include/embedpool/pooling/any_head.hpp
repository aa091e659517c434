#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "embedpool/pooling/heads/additive_attention.hpp"
#include "embedpool/pooling/heads/batched_head.hpp"
#include "embedpool/pooling/heads/concatenate.hpp"
#include "embedpool/pooling/heads/cross_attention.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/heads/latent_attention.hpp"
#include "embedpool/pooling/heads/layer_attention.hpp"
#include "embedpool/pooling/heads/layer_mean.hpp"
#include "embedpool/pooling/heads/layer_mix.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"
#include "embedpool/pooling/heads/single_query_attention.hpp"
#include "embedpool/pooling/heads/task_query_attention.hpp"
#include "embedpool/pooling/heads/weighted_layers.hpp"
#include "embedpool/pooling/held_by_head.hpp"

namespace embedpool {

/// A head chosen at run time: the same promises as the head it holds, one `visit` a text dearer.
///
/// Names   mean, identity, concatenate, layer-mix, weighted-layers, single-query, additive, layer-attention,
///         cross-attention, perceiver, latent-attention, task-query
/// Errors  check throws ShapeError when parameters are another head's or do not fit
class AnyHead {
 public:
  using Variant = std::variant<LayerMean, Identity, Concatenate, LayerMix, WeightedLayers, SingleQueryAttention,
                               AdditiveAttention, LayerAttention, CrossAttention, PerceiverHead, LatentAttention,
                               TaskQueryAttention>;
  static constexpr std::string_view names[] = {
      "mean",     "identity",        "concatenate",     "layer-mix", "weighted-layers", "single-query",
      "additive", "layer-attention", "cross-attention", "perceiver", "latent-attention",
      "task-query"};
  static_assert(std::size(names) == std::variant_size_v<Variant>);

  template <Real S>
  struct Params {
    typename detail::HeldByHead<S, Variant>::Params value{};
  };
  template <Real S>
  struct Cache {
    typename detail::HeldByHead<S, Variant>::Cache value{};
  };
  template <Real S>
  struct Prepared {
    typename detail::HeldByHead<S, Variant>::Prepared value{};
  };
  /// Each pass over a batch fills its own half.
  template <Real S>
  struct Batch {
    typename detail::HeldByHead<S, Variant>::Batch inference{};
    typename detail::HeldByHead<S, Variant>::Training training{};
  };
  template <Real S>
  struct PreparedGradient {
    typename detail::HeldByHead<S, Variant>::Gradient value{};
  };

  AnyHead() = default;
  template <class Head>
  requires std::constructible_from<Variant, Head> AnyHead(Head head) : head_(std::move(head)) {}

  /// A head of that name with its default options. Errors: ShapeError that lists the names.
  static AnyHead named(std::string_view name) {
    return named(name, std::make_index_sequence<std::variant_size_v<Variant>>{});
  }
  std::string_view name() const noexcept { return names[head_.index()]; }
  const Variant& variant() const noexcept { return head_; }
  Variant& variant() noexcept { return head_; }

  template <Real S>
  Params<S> init(Index width, Index slots, std::uint64_t seed = 0) const {
    return std::visit(
        [&]<class Head>(const Head& head) {
          return Params<S>{
              detail::Held<Head, typename Head::template Params<S>>{head.template init<S>(width, slots, seed)}};
        },
        head_);
  }
  template <class P, class F>
  static void for_each(P& params, F&& f) {
    std::visit([&]<class Head, class Own>(detail::Held<Head, Own>& held) { Head::for_each(held.value, f); },
               params.value);
  }
  Index output_width(Index width) const {
    return std::visit([&](const auto& head) { return head.output_width(width); }, head_);
  }
  template <Real S>
  void check(const Params<S>& params, Index width, Index slots) const {
    if (params.value.index() != head_.index())
      throw ShapeError("head " + std::string(name()) + ": the parameters are those of head " +
                       std::string(names[params.value.index()]));
    std::visit(
        [&]<class Head>(const Head& head) {
          const auto& own = detail::of<Head, typename Head::template Params<S>>(params);
          if constexpr (requires { head.check(own, width, slots); }) head.check(own, width, slots);
        },
        head_);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& params, const Keys<S>& keys, Cache<S>& cache) const {
    return std::visit(
        [&]<class Head>(const Head& head) -> RowVector<S> {
          using Own = typename Head::template Cache<S>;
          if (cache.value.index() != head_.index()) cache.value = detail::Held<Head, Own>{};
          const auto& held = detail::of<Head, typename Head::template Params<S>>(params);
          return head.forward(held, keys, detail::of<Head, Own>(cache));
        },
        head_);
  }
  template <Real S>
  void backward(const Params<S>& params, const Keys<S>& keys, const Cache<S>& cache, const RowVector<S>& de,
                Params<S>& dparams, Rows<S> dkeys) const {
    std::visit(
        [&]<class Head>(const Head& head) {
          using Own = typename Head::template Params<S>;
          head.backward(detail::of<Head, Own>(params), keys, detail::of<Head, typename Head::template Cache<S>>(cache), de,
                        detail::of<Head, Own>(dparams), dkeys);
        },
        head_);
  }

  template <Real S>
  Prepared<S> prepare(const Params<S>& params, ExecutorRef executor) const {
    return std::visit(
        [&]<class Head>(const Head& head) {
          const auto& own = detail::of<Head, typename Head::template Params<S>>(params);
          return Prepared<S>{detail::Held<Head, PreparedOf<S, Head>>{prepare_head<S>(head, own, executor)}};
        },
        head_);
  }

  /// All texts of a batch at once where the head can: see BatchedHead.
  template <Real S>
  void forward_all(const Params<S>& params, const Prepared<S>& prepared, std::span<const Keys<S>> texts,
                   Batch<S>& batch, Rows<S> e, ExecutorRef executor) const {
    std::visit(
        [&]<class Head>(const Head& head) {
          embedpool::forward_all<S>(head, detail::of<Head, typename Head::template Params<S>>(params),
                                    detail::of<Head, PreparedOf<S, Head>>(prepared), texts,
                                    detail::made<Head, BatchOf<S, Head>>(batch.inference), e, executor);
        },
        head_);
  }
  template <Real S>
  void forward_all_kept(const Params<S>& params, const Prepared<S>& prepared, std::span<const Keys<S>> texts,
                        Batch<S>& batch, Rows<S> e, ExecutorRef executor) const {
    std::visit(
        [&]<class Head>(const Head& head) {
          embedpool::forward_all_kept<S>(head, detail::of<Head, typename Head::template Params<S>>(params),
                                         detail::of<Head, PreparedOf<S, Head>>(prepared), texts,
                                         detail::made<Head, TrainingBatchOf<S, Head>>(batch.training), e, executor);
        },
        head_);
  }
  template <Real S>
  void backward_all(const Params<S>& params, const Prepared<S>& prepared, std::span<const Keys<S>> texts,
                    Batch<S>& batch, Rows<const S> de, Params<S>& dparams, PreparedGradient<S>& dprepared,
                    std::span<const Rows<S>> dkeys, ExecutorRef executor) const {
    std::visit(
        [&]<class Head>(const Head& head) {
          embedpool::backward_all<S>(head, detail::of<Head, typename Head::template Params<S>>(params),
                                     detail::of<Head, PreparedOf<S, Head>>(prepared), texts,
                                     detail::made<Head, TrainingBatchOf<S, Head>>(batch.training), de,
                                     detail::of<Head, typename Head::template Params<S>>(dparams),
                                     detail::made<Head, PreparedGradientOf<S, Head>>(dprepared.value), dkeys, executor);
        },
        head_);
  }
  template <Real S>
  void chain(const Params<S>& params, const Prepared<S>& prepared, const PreparedGradient<S>& dprepared,
             Params<S>& dparams, ExecutorRef executor) const {
    std::visit(
        [&]<class Head>(const Head& head) {
          if (dprepared.value.index() != head_.index()) return;  // nothing was summed
          chain_prepared<S>(head, detail::of<Head, typename Head::template Params<S>>(params),
                            detail::of<Head, PreparedOf<S, Head>>(prepared),
                            detail::of<Head, PreparedGradientOf<S, Head>>(dprepared),
                            detail::of<Head, typename Head::template Params<S>>(dparams), executor);
        },
        head_);
  }

 private:
  template <std::size_t... I>
  static AnyHead named(std::string_view name, std::index_sequence<I...>) {
    AnyHead head;
    if (((name == names[I] && (head.head_ = std::variant_alternative_t<I, Variant>{}, true)) || ...)) return head;
    std::string list;
    for (const std::string_view known : names) list += (list.empty() ? "" : ", ") + std::string(known);
    throw ShapeError("head: '" + std::string(name.substr(0, 40)) + "' is not one of " + list);
  }

  Variant head_{};
};
static_assert(BatchTrainedHead<AnyHead, float> && BatchTrainedHead<AnyHead, double>);

}  // namespace embedpool
