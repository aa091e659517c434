#pragma once
#include <algorithm>
#include <cstring>

#include "embedpool/core/executor.hpp"
#include "embedpool/core/layer_states.hpp"

namespace embedpool {

/// out = the selected tokens' rows of x, which stays.
///
/// Shapes  x packed by `held` -> out packed by `queries`, which leaves out tokens of `held`
template <Real S>
void gather_rows(Rows<const S> x, const RowSelection& held, const RowSelection& queries, Rows<S> out) noexcept {
  for (Index b = 0; b < queries.texts(); ++b) {
    const Index first = held.first_row(b) + queries.held(b).begin - held.held(b).begin;
    for (Index i = 0; i < queries.held(b).size(); ++i)
      std::copy_n(x.row_data(first + i), x.cols, out.row_data(queries.first_row(b) + i));
  }
}

/// The way back through gather_rows: dx += the rows of dout at their tokens' places.
template <Real S>
void scatter_rows(Rows<const S> dout, const RowSelection& held, const RowSelection& queries, Rows<S> dx) noexcept {
  for (Index b = 0; b < queries.texts(); ++b) {
    const Index first = held.first_row(b) + queries.held(b).begin - held.held(b).begin;
    for (Index i = 0; i < queries.held(b).size(); ++i) {
      const S* from = dout.row_data(queries.first_row(b) + i);
      S* to = dx.row_data(first + i);
      for (Index j = 0; j < dx.cols; ++j) to[j] += from[j];
    }
  }
}

/// The way back through compact_rows, in place: the first queries.rows() rows of x move to their tokens' places, all
/// other rows become 0.
///
/// Shapes  x packed by `held` afterwards
template <Real S>
void expand_rows(Rows<S> x, const RowSelection& held, const RowSelection& queries) noexcept {
  const auto clear = [&](Index first, Index count) { std::fill_n(x.row_data(first), count * x.cols, S(0)); };
  // A text's rows lie at or before its place, and those of earlier texts before it: the last text goes first.
  for (Index b = queries.texts() - 1; b >= 0; --b) {
    const Interval kept = queries.held(b), all = held.held(b);
    const Index begin = held.first_row(b), place = begin + kept.begin - all.begin;
    std::memmove(x.row_data(place), x.row_data(queries.first_row(b)),
                 static_cast<std::size_t>(kept.size() * x.cols) * sizeof(S));
    clear(begin, kept.begin - all.begin);
    clear(place + kept.size(), all.end - kept.end);
  }
}

/// The way back through repeat_shared_rows, in place: what the texts share gets the sum of their gradients, in the order
/// of the texts, in the first text's rows.
///
/// Shapes   x [N, D] -> its first held.rows() rows, packed by `held`; the rest of x is undefined afterwards
template <Real S, Executor E>
Rows<S> add_shared_rows(Rows<S> x, const Segments& segments, const RowSelection& held, E& executor) {
  if (held.rows() == segments.rows()) return x;
  constexpr Index columns = 64;  // a job; its sums run in the order of the texts, whoever runs it
  executor.parallel_for((x.cols + columns - 1) / columns, [&](Index job, Index) {
    const Index first = job * columns, width = std::min(columns, x.cols - first);
    for (Index b = 0; b < segments.size(); ++b) {
      const Index place = segments.offset(b), shared = held.held(b).begin;
      for (Index t = 0; t < shared; ++t)
        for (Index j = first; j < first + width; ++j) x(t, j) += x(place + t, j);
      // Rows only move down: text b's own never lie before their target.
      for (Index t = 0; t < held.held(b).size(); ++t)
        std::memmove(x.row_data(held.first_row(b) + t) + first, x.row_data(place + shared + t) + first,
                     static_cast<std::size_t>(width) * sizeof(S));
    }
  });
  return x.middle_rows(0, held.rows());
}

}  // namespace embedpool
