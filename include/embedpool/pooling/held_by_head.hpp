#pragma once
#include <variant>

#include "embedpool/pooling/heads/batched_head.hpp"

namespace embedpool::detail {

/// A value that belongs to one head. Several heads share a type of parameters; the head's type keeps them apart.
template <class Head, class Value>
struct Held {
  Value value{};
};

/// The parameters, caches, prepared work and so on of every head of a variant, as variants in its order.
template <Real S, class Variant>
struct HeldByHead;
template <Real S, class... Heads>
struct HeldByHead<S, std::variant<Heads...>> {
  using Params = std::variant<Held<Heads, typename Heads::template Params<S>>...>;
  using Cache = std::variant<Held<Heads, typename Heads::template Cache<S>>...>;
  using Prepared = std::variant<Held<Heads, PreparedOf<S, Heads>>...>;
  using Batch = std::variant<Held<Heads, BatchOf<S, Heads>>...>;
  using Training = std::variant<Held<Heads, TrainingBatchOf<S, Heads>>...>;
  using Gradient = std::variant<Held<Heads, PreparedGradientOf<S, Heads>>...>;
};

/// The value that belongs to `Head`, of something whose `value` is one of these variants.
template <class Head, class Own, class Holder>
auto& of(Holder& holder) {
  return std::get<Held<Head, Own>>(holder.value).value;
}
/// The same of scratch, made when it was another head's.
template <class Head, class Own, class Variant>
Own& made(Variant& held) {
  if (!std::holds_alternative<Held<Head, Own>>(held)) held = Held<Head, Own>{};
  return std::get<Held<Head, Own>>(held).value;
}

}  // namespace embedpool::detail
