#pragma once
#include <span>
#include <vector>

#include "embedpool/core/segments.hpp"

namespace embedpool {

/// Token ids of B texts, packed one after the other, and where each begins.
class Batch {
 public:
  /// Appends one text. Errors: ShapeError when the shape does not fit the ids, or the text has no token.
  void add(std::span<const TokenId> ids, const TextShape& shape) {
    require_equal("Batch", "tokens of text " + std::to_string(segments_.size()), static_cast<Index>(ids.size()),
                  shape.tokens);
    segments_.add(shape);
    ids_.insert(ids_.end(), ids.begin(), ids.end());
  }
  void add(std::span<const TokenId> ids) { add(ids, TextShape::bare(static_cast<Index>(ids.size()))); }

  const Segments& segments() const noexcept { return segments_; }
  std::span<const TokenId> ids() const noexcept { return ids_; }

 private:
  Segments segments_;
  std::vector<TokenId> ids_;
};

}  // namespace embedpool
