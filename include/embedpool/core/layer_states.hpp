#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "embedpool/core/half.hpp"
#include "embedpool/core/rows.hpp"
#include "embedpool/core/segments.hpp"

namespace embedpool {

/// Which tokens of each text a buffer of packed rows holds: all of them, or only those that a reader asked for
/// (a backbone prunes its last layer that way). Text b's tokens `held(b)` are rows [first_row(b), first_row(b) + size).
class RowSelection {
 public:
  /// Every token of every text.
  static RowSelection all(const Segments& segments) {
    return RowSelection(segments, [](const TextShape& shape) { return Interval{0, shape.tokens}; });
  }

  /// `choose(shape)`, called once a text in order, names its interval; it must not be empty and must lie in [0, tokens).
  template <class Choose>
  RowSelection(const Segments& segments, Choose&& choose) {
    for (Index b = 0; b < segments.size(); ++b) {
      const Interval chosen = choose(segments.shape(b));
      require_in("RowSelection", "begin", chosen.begin, 0, segments.shape(b).tokens - 1);
      require_in("RowSelection", "end", chosen.end, chosen.begin + 1, segments.shape(b).tokens);
      held_.push_back(chosen);
      first_row_.push_back(rows_);
      rows_ += chosen.size();
    }
  }

  Index texts() const noexcept { return static_cast<Index>(held_.size()); }
  Index rows() const noexcept { return rows_; }
  Interval held(Index b) const noexcept { return held_[static_cast<std::size_t>(b)]; }
  Index first_row(Index b) const noexcept { return first_row_[static_cast<std::size_t>(b)]; }
  /// The text that a row belongs to.
  Index text_of(Index row) const noexcept {
    return std::upper_bound(first_row_.begin(), first_row_.end(), row) - first_row_.begin() - 1;
  }

 private:
  std::vector<Interval> held_;
  std::vector<Index> first_row_;
  Index rows_ = 0;
};

/// The states of one text in one layer. Token t of `held` is row(t); other tokens are not there and never read.
///
/// Invariant  tokens outside `held`, padding included, cannot be reached through this view.
template <Element T>
class TextStates {
 public:
  /// `index` null: token t lies in buffer row first + (t - held.begin). Else in buffer row index[first + (t - held.begin)].
  constexpr TextStates(Rows<const T> buffer, Index first, const Index* index, Interval held,
                       const TextShape& shape) noexcept
      : buffer_(buffer), first_(first), index_(index), held_(held), shape_(shape) {}

  constexpr const TextShape& shape() const noexcept { return shape_; }
  constexpr Interval held() const noexcept { return held_; }
  constexpr Index width() const noexcept { return buffer_.cols; }
  constexpr std::span<const T> row(Index token) const noexcept {
    const Index place = first_ + token - held_.begin;
    return buffer_.row(index_ ? index_[place] : place);
  }
  /// The part `view` of this text as a text of its own (see narrowed(TextShape)); nothing is copied.
  constexpr TextStates narrowed(Interval view) const noexcept {
    const Interval kept = intersection(held_, view);
    return {buffer_, first_ + kept.begin - held_.begin, index_, {kept.begin - view.begin, kept.end - view.begin},
            embedpool::narrowed(shape_, view)};
  }
  /// True when the held tokens are consecutive buffer rows, so that `packed()` is a view of them.
  constexpr bool is_packed() const noexcept { return index_ == nullptr; }
  constexpr Rows<const T> packed() const noexcept { return buffer_.middle_rows(first_, held_.size()); }

 private:
  Rows<const T> buffer_;
  Index first_;
  const Index* index_;
  Interval held_;
  TextShape shape_;
};

/// One layer of a batch as a backbone pushes it: a buffer of rows, and where each text's tokens lie in it.
///
/// Valid only during the push: engines reuse their buffers. `index` is empty for packed rows; a padded buffer is
/// described, without copying it, by the buffer row of every real token.
template <Element T>
struct LayerStates {
  Rows<const T> buffer;
  const Segments* segments = nullptr;
  const RowSelection* selection = nullptr;
  std::span<const Index> index{};

  TextStates<T> text(Index b) const noexcept {
    return {buffer, selection->first_row(b), index.empty() ? nullptr : index.data(), selection->held(b),
            segments->shape(b)};
  }
};

}  // namespace embedpool
