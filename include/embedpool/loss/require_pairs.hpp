#pragma once
#include <span>

#include "embedpool/loss/require_like.hpp"

namespace embedpool {

/// What every loss of pairs (a_i, b_i) with labels y_i asks of its arguments: at least one pair, one width, one label a
/// pair, and gradients like the embeddings.
///
/// Shapes  a, b, da, db [P, D]; labels [P]
/// Errors  ShapeError naming the loss and the part that does not fit
template <Real S>
void require_pairs(const char* loss, Rows<const S> a, Rows<const S> b, std::span<const double> labels, Rows<S> da, Rows<S> db) {
  require_in(loss, "pairs", a.rows, 1, Index(1) << 40);
  require_equal(loss, "rows of b", b.rows, a.rows);
  require_equal(loss, "width of b", b.cols, a.cols);
  require_equal(loss, "labels", static_cast<Index>(labels.size()), a.rows);
  require_like(loss, "a", da, a);
  require_like(loss, "b", db, b);
}

}  // namespace embedpool
