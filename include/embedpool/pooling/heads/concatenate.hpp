#pragma once
#include "embedpool/pooling/heads/no_params.hpp"

namespace embedpool {

/// All keys of a text side by side, as sentence-transformers joins several pooling modes: e = [h_1 | h_2 | ... ].
///
/// Shapes  keys [count, D] -> e [count D]
/// Errors  ShapeError when a text does not have `count` keys
struct Concatenate : ParameterFree {
  Index count = 1;

  Index output_width(Index width) const { return count * width; }

  template <Real S>
  RowVector<S> forward(const NoParams&, const Keys<S>& keys, Cache<S>&) const {
    require_equal("Concatenate head", "keys of a text", keys.rows.rows, count);
    RowVector<S> e(count * keys.rows.cols);
    for (Index k = 0; k < count; ++k) e.segment(k * keys.rows.cols, keys.rows.cols) = as_eigen(keys.rows).row(k);
    return e;
  }

  /// dh_k += the k-th part of de
  template <Real S>
  void backward(const NoParams&, const Keys<S>&, const Cache<S>&, const RowVector<S>& de, const NoParams&,
                Rows<S> dkeys) const {
    for (Index k = 0; k < count; ++k) as_eigen(dkeys).row(k) += de.segment(k * dkeys.cols, dkeys.cols);
  }
};
static_assert(HeadPolicy<Concatenate, float> && HeadPolicy<Concatenate, double>);

}  // namespace embedpool
