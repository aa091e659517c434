#pragma once
#include <algorithm>
#include <concepts>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "embedpool/core/layer_states.hpp"

namespace embedpool {

/// How a padded buffer [B, T, D] lies in memory: value j of column t of text b is at
/// data[b * text_stride + t * row_stride + j]. Strides count elements; padded rows and texts may be further apart
/// than they are long.
struct PaddedLayout {
  Index width = 0;
  Index row_stride = 0;
  Index text_stride = 0;

  static constexpr PaddedLayout contiguous(Index columns, Index width) noexcept {
    return {width, width, columns * width};
  }
};

/// A padded batch of somebody else's engine as packed rows: which columns of which text are real tokens. Padding may
/// be left, right, in holes, or nowhere; it is never read. States stay where they are.
///
///   PaddedBatch batch(mask, PaddedLayout::contiguous(T, D));
///   stream.push(k, batch.layer(hidden_states_k));
///
/// Shapes  mask [B, T], 0 is padding, anything else a token
/// Errors  ShapeError naming the text without a token, or whose prompt is longer than it
class PaddedBatch {
 public:
  /// `prompt_tokens`, if given, says how many real tokens of each text come before the text's own.
  template <std::integral M>
  PaddedBatch(Rows<M> mask, const PaddedLayout& layout, std::span<const Index> prompt_tokens = {})
      : segments_(segments_of(mask, prompt_tokens)), selection_(RowSelection::all(segments_)), width_(layout.width) {
    require_in("PaddedBatch", "width", layout.width, 1, most);
    require_in("PaddedBatch", "row stride", layout.row_stride, layout.width, most);
    require_in("PaddedBatch", "text stride", layout.text_stride, 0, most);
    // A view of rows has one stride. Where texts are not a whole number of rows apart, a common divisor serves: such a
    // view names rows that overlap, but only those of the index are ever touched.
    stride_ = layout.text_stride % layout.row_stride == 0 ? layout.row_stride
                                                          : std::gcd(layout.text_stride, layout.row_stride);
    for (Index b = 0; b < mask.rows; ++b)
      for (Index t = 0; t < mask.cols; ++t)
        if (mask(b, t) != M(0)) index_.push_back((b * layout.text_stride + t * layout.row_stride) / stride_);
    consecutive_ = stride_ == layout.row_stride;
    for (std::size_t i = 1; i < index_.size(); ++i) consecutive_ = consecutive_ && index_[i] == index_[i - 1] + 1;
    for (const Index row : index_) rows_ = std::max(rows_, row + 1);
  }

  const Segments& segments() const noexcept { return segments_; }

  /// One layer's buffer of this layout, not copied. Valid while the buffer and this PaddedBatch are.
  template <Element T>
  LayerStates<T> layer(const T* data) const noexcept {
    if (consecutive_ && !index_.empty())  // no padding between tokens: packed rows as they are
      return {{data + index_.front() * stride_, segments_.rows(), width_, stride_}, &segments_, &selection_, {}};
    return {{data, rows_, width_, stride_}, &segments_, &selection_, index_};
  }

  /// The same for gradients: where the rows of a packed [N, D] gradient belong in a padded buffer of this layout.
  /// Adds row i of `packed` to token i; padding is not touched.
  template <Real S>
  void scatter_add(Rows<const S> packed, S* padded) const {
    require_equal("PaddedBatch", "rows of the gradient", packed.rows, segments_.rows());
    require_equal("PaddedBatch", "columns of the gradient", packed.cols, width_);
    for (Index i = 0; i < packed.rows; ++i) {
      S* row = padded + index_[static_cast<std::size_t>(i)] * stride_;
      for (Index j = 0; j < width_; ++j) row[j] += packed(i, j);
    }
  }

 private:
  static constexpr Index most = Index(1) << 48;  // elements: products of an index and a stride stay far from overflow

  template <class M>
  static Segments segments_of(Rows<M> mask, std::span<const Index> prompt_tokens) {
    if (!prompt_tokens.empty())
      require_equal("PaddedBatch", "prompt lengths", static_cast<Index>(prompt_tokens.size()), mask.rows);
    Segments segments;
    for (Index b = 0; b < mask.rows; ++b) {
      Index tokens = 0;
      for (const M m : mask.row(b)) tokens += m != M(0) ? 1 : 0;
      const std::string text = "PaddedBatch: text " + std::to_string(b);
      if (tokens == 0) throw ShapeError(text + " has no real token: its mask is all zero");
      TextShape shape = TextShape::bare(tokens);
      if (!prompt_tokens.empty()) {
        const Index prompt = prompt_tokens[static_cast<std::size_t>(b)];
        require_in(text, "prompt tokens", prompt, 0, tokens);
        shape.text.begin = shape.second_copy = prompt;
      }
      segments.add(shape);
    }
    return segments;
  }

  Segments segments_;
  RowSelection selection_;
  Index width_;
  Index stride_ = 1;
  Index rows_ = 0;
  bool consecutive_ = false;
  std::vector<Index> index_;  // of each real token, in units of stride_
};

}  // namespace embedpool
