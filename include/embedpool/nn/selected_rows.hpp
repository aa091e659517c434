#pragma once
#include <algorithm>
#include <cstring>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/core/layer_states.hpp"

namespace embedpool {

/// Moves the selected tokens of packed rows to the front, in place and in order.
///
/// Shapes   x packed by `held` -> the first queries.rows() rows of x, packed by `queries`, which leaves out tokens of
///          `held`; the rest of x is undefined afterwards
template <Real S>
Rows<S> compact_rows(Rows<S> x, const RowSelection& held, const RowSelection& queries) noexcept {
  for (Index b = 0; b < queries.texts(); ++b) {
    const Index count = queries.held(b).size(), first = held.first_row(b) + queries.held(b).begin - held.held(b).begin;
    // The source never lies before the target: rows only move down, texts in rising order.
    for (Index i = 0; i < count; ++i)
      std::memmove(x.row_data(queries.first_row(b) + i), x.row_data(first + i),
                   static_cast<std::size_t>(x.cols) * sizeof(S));
  }
  return x.middle_rows(0, queries.rows());
}

/// Every token of every text, from the tokens that were computed: those that `held` leaves out are the first ones of a
/// text, and equal to the first text's.
///
/// Shapes   x packed by `held`, `all` [N, D]; x itself when nothing is left out
template <Real S, Executor E>
Rows<const S> repeat_shared_rows(Rows<const S> x, const Segments& segments, const RowSelection& held,
                                 AlignedBuffer<S>& all, E& executor) {
  if (held.rows() == segments.rows()) return x;
  const Rows<S> out = all.rows(segments.rows(), x.cols);
  executor.parallel_for(segments.size(), [&](Index b, Index) {
    const Index shared = held.held(b).begin, own = held.held(b).size();
    for (Index t = 0; t < shared; ++t) std::ranges::copy(x.row(t), out.row_data(segments.offset(b) + t));
    for (Index t = 0; t < own; ++t)
      std::ranges::copy(x.row(held.first_row(b) + t), out.row_data(segments.offset(b) + shared + t));
  });
  return out;
}

}  // namespace embedpool
