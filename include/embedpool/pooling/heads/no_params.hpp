#pragma once
#include <string>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Parameters of a head that learns nothing.
struct NoParams {};

/// What is common to heads that learn nothing and remember nothing.
struct ParameterFree {
  template <Real S>
  using Params = NoParams;
  template <Real S>
  struct Cache {};

  template <Real S>
  NoParams init(Index /*width*/, Index /*slots*/, std::uint64_t /*seed*/ = 0) const {
    return {};
  }
  template <class F>
  static void for_each(const NoParams&, F&&) {}
};

}  // namespace embedpool
