#pragma once
#include <concepts>
#include <type_traits>

#include "embedpool/core/executor_ref.hpp"
#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// A head that can do work once for all texts that its parameters leave the same: learned queries, say, are projected
/// once and not for every text.
///
/// Beyond the syntax, a model promises that
///   - forward_prepared(params, prepare(params), keys) is forward(params, keys, cache) up to rounding, in an order of
///     sums that depends on the parameters and on this text's number of keys alone;
///   - Prepared is never changed, so threads share it; it is stale as soon as the parameters change.
/// `forward` stays the definition, and what training uses: it fills the Cache.
template <class H, class S>
concept PreparedHead = HeadPolicy<H, S> &&
    requires(const H head, const typename H::template Params<S>& params,
             const typename H::template Prepared<S>& prepared, const Keys<S>& keys) {
  { head.prepare(params) } -> std::same_as<typename H::template Prepared<S>>;
  { head.forward_prepared(params, prepared, keys) } -> std::same_as<RowVector<S>>;
};

/// What `prepare` gives for a head that has nothing to prepare.
struct NothingPrepared {};

namespace detail {
template <Real S, class Head>
struct PreparedType {
  using type = NothingPrepared;
};
template <Real S, class Head>
requires PreparedHead<Head, S>
struct PreparedType<S, Head> {
  using type = typename Head::template Prepared<S>;
};
}  // namespace detail
/// What a head of any kind prepares.
template <Real S, class Head>
using PreparedOf = typename detail::PreparedType<S, Head>::type;

/// Work of a head done once for its parameters, for any head: what it prepares, else nothing.
template <Real S, class Head>
PreparedOf<S, Head> prepare_head(const Head& head, const typename Head::template Params<S>& params) {
  if constexpr (PreparedHead<Head, S>)
    return head.prepare(params);
  else
    return {};
}
/// The same on an executor, for heads whose prepare(params, ExecutorRef) can use one: preparing a large head costs as
/// much as pooling many texts.
template <Real S, class Head>
PreparedOf<S, Head> prepare_head(const Head& head, const typename Head::template Params<S>& params,
                                 ExecutorRef executor) {
  if constexpr (PreparedHead<Head, S> && requires { head.prepare(params, executor); })
    return head.prepare(params, executor);
  else
    return prepare_head<S>(head, params);
}

/// The embedding of one text when no backward will follow; `cache` is scratch.
template <Real S, class Head>
RowVector<S> forward_prepared(const Head& head, const typename Head::template Params<S>& params,
                              const PreparedOf<S, Head>& prepared, const Keys<S>& keys,
                              typename Head::template Cache<S>& cache) {
  if constexpr (PreparedHead<Head, S>)
    return head.forward_prepared(params, prepared, keys);
  else
    return head.forward(params, keys, cache);
}

}  // namespace embedpool
