#pragma once
#include <cstring>

#include "embedpool/core/layer_states.hpp"

namespace embedpool {

/// Moves the selected tokens of packed rows to the front, in place and in order.
///
/// Shapes   x [N, D] holding every token -> the first queries.rows() rows of x, packed by `queries`; the rest of x is
///          undefined afterwards
template <Real S>
Rows<S> compact_rows(Rows<S> x, const Segments& segments, const RowSelection& queries) noexcept {
  for (Index b = 0; b < segments.size(); ++b) {
    const Interval held = queries.held(b);
    // The source never lies before the target: rows only move down, texts in rising order.
    for (Index t = held.begin; t < held.end; ++t)
      std::memmove(x.row_data(queries.first_row(b) + t - held.begin), x.row_data(segments.offset(b) + t),
                   static_cast<std::size_t>(x.cols) * sizeof(S));
  }
  return x.middle_rows(0, queries.rows());
}

}  // namespace embedpool
