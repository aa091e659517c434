#pragma once
#include <concepts>
#include <type_traits>

#include "embedpool/core/executor_ref.hpp"
#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// A head that can do work once for all texts that its parameters leave the same: learned queries, say, are projected
/// once and not for every text. What uses it is BatchedHead::forward_all.
///
/// Beyond the syntax, a model promises that Prepared is never changed, so threads share it; it is stale as soon as the
/// parameters change.
template <class H, class S>
concept PreparedHead = HeadPolicy<H, S> &&
    requires(const H head, const typename H::template Params<S>& params, ExecutorRef executor) {
  { head.prepare(params, executor) } -> std::same_as<typename H::template Prepared<S>>;
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
PreparedOf<S, Head> prepare_head(const Head& head, const typename Head::template Params<S>& params,
                                 ExecutorRef executor) {
  if constexpr (PreparedHead<Head, S>)
    return head.prepare(params, executor);
  else
    return {};
}

}  // namespace embedpool
