#pragma once
#include <string>

#include "embedpool/core/error.hpp"
#include "embedpool/core/rows.hpp"

namespace embedpool {

/// What every loss asks of a place for gradients: rows and width of the embeddings whose gradient goes there.
///
/// Errors  ShapeError naming the loss, the embeddings ("the queries") and what does not fit
template <Real S>
void require_like(const char* loss, const std::string& embeddings, const Rows<S>& gradient, const Rows<const S>& of) {
  require_equal(loss, "rows of the gradient of " + embeddings, gradient.rows, of.rows);
  require_equal(loss, "width of the gradient of " + embeddings, gradient.cols, of.cols);
}

}  // namespace embedpool
