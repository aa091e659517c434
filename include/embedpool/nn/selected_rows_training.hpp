#pragma once
#include <algorithm>
#include <cstring>

#include "embedpool/core/layer_states.hpp"

namespace embedpool {

/// out = the selected tokens' rows of x, which stays.
///
/// Shapes  x [N, D] -> out [queries.rows(), D]
template <Real S>
void gather_rows(Rows<const S> x, const Segments& segments, const RowSelection& queries, Rows<S> out) noexcept {
  for (Index b = 0; b < segments.size(); ++b)
    for (Index t = queries.held(b).begin; t < queries.held(b).end; ++t)
      std::copy_n(x.row_data(segments.offset(b) + t), x.cols, out.row_data(queries.first_row(b) + t - queries.held(b).begin));
}

/// The way back through gather_rows: dx += the rows of dout at their tokens' places.
template <Real S>
void scatter_rows(Rows<const S> dout, const Segments& segments, const RowSelection& queries, Rows<S> dx) noexcept {
  for (Index b = 0; b < segments.size(); ++b)
    for (Index t = queries.held(b).begin; t < queries.held(b).end; ++t) {
      const S* from = dout.row_data(queries.first_row(b) + t - queries.held(b).begin);
      S* to = dx.row_data(segments.offset(b) + t);
      for (Index j = 0; j < dx.cols; ++j) to[j] += from[j];
    }
}

/// The way back through compact_rows, in place: the first queries.rows() rows of x move to their tokens' places, all
/// other rows become 0.
///
/// Shapes  x [N, D]
template <Real S>
void expand_rows(Rows<S> x, const Segments& segments, const RowSelection& queries) noexcept {
  const auto clear = [&](Index first, Index count) { std::fill_n(x.row_data(first), count * x.cols, S(0)); };
  // A text's rows lie at or before its place, and those of earlier texts before it: the last text goes first.
  for (Index b = segments.size() - 1; b >= 0; --b) {
    const Interval held = queries.held(b);
    const Index offset = segments.offset(b);
    std::memmove(x.row_data(offset + held.begin), x.row_data(queries.first_row(b)),
                 static_cast<std::size_t>(held.size() * x.cols) * sizeof(S));
    clear(offset, held.begin);
    clear(offset + held.end, segments.shape(b).tokens - held.end);
  }
}

}  // namespace embedpool
