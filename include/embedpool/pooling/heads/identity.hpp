#pragma once
#include "embedpool/pooling/heads/no_params.hpp"

namespace embedpool {

/// The only key of a text is its embedding: e = h_1.
///
/// Shapes  keys [1, D] -> e [D]
/// Errors  check throws ShapeError when layers and readers give more than one kind of key: combine those with LayerMean,
///         LayerMix or Concatenate
struct Identity : ParameterFree {
  Index output_width(Index width) const { return width; }
  void check(const NoParams&, Index /*width*/, Index slots) const { require_equal("Identity head", "kinds of keys", slots, 1); }

  template <Real S>
  RowVector<S> forward(const NoParams&, const Keys<S>& keys, Cache<S>&) const {
    require_equal("Identity head", "keys of a text", keys.rows.rows, 1);
    return as_eigen(keys.rows).row(0);
  }

  /// dh_1 += de
  template <Real S>
  void backward(const NoParams&, const Keys<S>&, const Cache<S>&, const RowVector<S>& de, const NoParams&,
                Rows<S> dkeys) const {
    as_eigen(dkeys).row(0) += de;
  }
};
static_assert(HeadPolicy<Identity, float> && HeadPolicy<Identity, double>);

}  // namespace embedpool
