#pragma once
#include <string_view>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/pooling/concepts.hpp"

/// The learned table of multi-layer pooling: a row for each kind of key, by which attention can tell layers apart.
namespace embedpool::head_math {

/// Throws ShapeError unless the table has a row of `width` values for each of `slots` kinds of keys; it may have more.
template <Real S>
void check_layer_table(std::string_view where, const Matrix<S>& table, Index width, Index slots) {
  require_equal(where, "width of the layer table", table.cols(), width);
  require_in(where, "kinds of keys", slots, 1, table.rows());
}

/// h'_k = h_k + table[slot_k]; the keys as they are where `table` is null.
template <Real S>
Matrix<S> add_layer_table(const Keys<S>& keys, const Matrix<S>* table) {
  Matrix<S> h = as_eigen(keys.rows);
  if (table)
    for (Index k = 0; k < h.rows(); ++k) h.row(k) += table->row(keys.slot[static_cast<std::size_t>(k)]);
  return h;
}

/// dtable[slot_k] += dh'_k
template <Real S>
void layer_table_backward(const Keys<S>& keys, const Matrix<S>& dh, Matrix<S>& dtable) {
  for (Index k = 0; k < dh.rows(); ++k) dtable.row(keys.slot[static_cast<std::size_t>(k)]) += dh.row(k);
}

}  // namespace embedpool::head_math
