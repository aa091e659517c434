#pragma once
#include <span>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/text_shape.hpp"

namespace embedpool {

/// How B texts lie in N packed rows: text b owns rows [offset(b), offset(b) + shape(b).tokens), one after the other,
/// without padding.
///
/// A Segments is valid if it exists: every text has at least one token and a consistent TextShape.
/// Errors  ShapeError naming the text
class Segments {
 public:
  Segments() = default;

  /// Bare texts from the B + 1 offsets that packed engines carry (cu_seqlens): first 0, strictly rising.
  static Segments from_offsets(std::span<const Index> offsets) {
    Segments segments;
    if (offsets.empty() || offsets.front() != 0) throw ShapeError("Segments: offsets must begin with 0");
    for (std::size_t b = 0; b + 1 < offsets.size(); ++b) segments.add(TextShape::bare(offsets[b + 1] - offsets[b]));
    return segments;
  }

  /// Appends a text behind the last one.
  void add(const TextShape& shape) {
    if (shape.tokens < 1) throw ShapeError("Segments: text " + std::to_string(size()) + " has no token");
    const bool valid = 0 <= shape.text.begin && shape.text.begin <= shape.second_copy &&
                       shape.second_copy <= shape.text.end && shape.text.end <= shape.tokens;
    if (!valid)
      throw ShapeError("Segments: text " + std::to_string(size()) + " of " + std::to_string(shape.tokens) +
                       " tokens has text [" + std::to_string(shape.text.begin) + ", " +
                       std::to_string(shape.text.end) + ") and second copy at " + std::to_string(shape.second_copy));
    shapes_.push_back(shape);
    offsets_.push_back(offsets_.back() + shape.tokens);
  }

  Index size() const noexcept { return static_cast<Index>(shapes_.size()); }
  Index rows() const noexcept { return offsets_.back(); }
  Index offset(Index b) const noexcept { return offsets_[static_cast<std::size_t>(b)]; }
  const TextShape& shape(Index b) const noexcept { return shapes_[static_cast<std::size_t>(b)]; }
  Index longest() const noexcept {
    Index tokens = 0;
    for (const TextShape& shape : shapes_) tokens = std::max(tokens, shape.tokens);
    return tokens;
  }

 private:
  std::vector<TextShape> shapes_;
  std::vector<Index> offsets_{0};
};

}  // namespace embedpool
