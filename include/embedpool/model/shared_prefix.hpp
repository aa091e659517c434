#pragma once
#include <algorithm>
#include <span>

#include "embedpool/attention/mask.hpp"
#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/batch.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/core/layer_states.hpp"

namespace embedpool {

/// How many tokens at the beginning of a batch's texts have the same states in all of them, so that they need to be
/// computed once: the largest p with
///
///   - the ids of tokens [0, p) are equal in all texts, and every text is longer than p;
///   - each of these tokens sees the same keys in all texts, all of them among [0, p).
///
/// That is a common prompt under a causal mask, windows included, and under a prefix mask; nothing under bidirectional
/// ones. 0 for fewer than two texts.
template <MaskPolicy M>
Index shared_prefix(const Batch& batch, const M& mask) {
  const Segments& segments = batch.segments();
  if (segments.size() < 2) return 0;
  const auto ids = [&](Index b) { return batch.ids().data() + segments.offset(b); };
  const TextShape& first = segments.shape(0);
  Index equal = first.tokens - 1;
  for (Index b = 1; b < segments.size() && equal > 0; ++b) {
    const TextShape& shape = segments.shape(b);
    equal = std::min(equal, shape.tokens - 1);
    equal = std::mismatch(ids(0), ids(0) + equal, ids(b)).first - ids(0);
    for (Index t = 0; t < equal; ++t)
      if (mask.keys(t, shape) != mask.keys(t, first)) equal = t;
  }
  Index prefix = 0, end = 0;
  for (Index t = 0; t < equal; ++t) {
    end = std::max(end, mask.keys(t, first).end);
    if (end <= t + 1) prefix = t + 1;
    if (end > equal) break;
  }
  return prefix;
}

/// Which tokens of a batch a forward pass computes when the first `prefix` are shared: all of the first text, and what
/// follows the prefix of the others.
class ComputedTokens {
 public:
  ComputedTokens(const Segments& segments, Index prefix)
      : prefix_(prefix), selection_(segments, [&, b = Index(0)](const TextShape& shape) mutable {
          return Interval{b++ == 0 ? 0 : prefix, shape.tokens};
        }) {}

  bool shares() const noexcept { return prefix_ > 0; }
  const RowSelection& selection() const noexcept { return selection_; }

  /// The computed tokens that give those in `read`: the shared ones are asked of the first text.
  ///
  /// A text of which nothing but shared tokens is read keeps one token more than needed, for a selection has some of
  /// every text.
  RowSelection giving(const RowSelection& read, const Segments& segments) const {
    Interval of_first = read.texts() > 0 ? read.held(0) : Interval{};
    for (Index b = 1; b < read.texts(); ++b) of_first = hull(of_first, intersection(read.held(b), {0, prefix_}));
    return RowSelection(segments, [&, b = Index(0)](const TextShape&) mutable {
      const Index text = b++;
      if (text == 0) return of_first;
      const Interval own = intersection(read.held(text), {prefix_, read.held(text).end});
      return own.empty() ? Interval{prefix_, prefix_ + 1} : own;
    });
  }

  /// The rows of the tokens in `read` from rows packed by `computed`, which is selection() or giving(read): x itself
  /// when nothing is shared, else copied to `repeated`.
  template <Real S, Executor E>
  Rows<S> rows_of(const RowSelection& read, const RowSelection& computed, Rows<S> x, AlignedBuffer<S>& repeated,
                  E& executor) const {
    if (!shares()) return x;
    const Rows<S> out = repeated.rows(read.rows(), x.cols);
    executor.parallel_for(read.texts(), [&](Index b, Index) {
      for (Index t = read.held(b).begin; t < read.held(b).end; ++t)
        std::ranges::copy(x.row(row_of(b, t, computed)), out.row_data(read.first_row(b) + t - read.held(b).begin));
    });
    return out;
  }

  /// The way back through rows_of: dx += the rows of dout; a shared token gets the sum of all texts', in their order.
  template <Real S, Executor E>
  void add_rows_of(const RowSelection& read, const RowSelection& computed, Rows<const S> dout, Rows<S> dx,
                   E& executor) const {
    constexpr Index columns = 64;  // a job; its sums run in the order of the texts, whoever runs it
    executor.parallel_for((dx.cols + columns - 1) / columns, [&](Index job, Index) {
      const Index end = std::min(dx.cols, (job + 1) * columns);
      for (Index b = 0; b < read.texts(); ++b)
        for (Index t = read.held(b).begin; t < read.held(b).end; ++t) {
          const Index from = read.first_row(b) + t - read.held(b).begin, to = row_of(b, t, computed);
          for (Index j = job * columns; j < end; ++j) dx(to, j) += dout(from, j);
        }
    });
  }

 private:
  /// The row of text b's token t among those packed by `computed`.
  Index row_of(Index b, Index t, const RowSelection& computed) const noexcept {
    const Index text = t < prefix_ ? 0 : b;
    return computed.first_row(text) + t - computed.held(text).begin;
  }

  Index prefix_;
  RowSelection selection_;
};

}  // namespace embedpool
