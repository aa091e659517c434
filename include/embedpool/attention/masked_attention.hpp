#pragma once
#include <cmath>
#include <vector>

#include "embedpool/attention/attention_shape.hpp"
#include "embedpool/attention/mask.hpp"
#include "embedpool/attention/small_panels.hpp"
#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/core/layer_states.hpp"
#include "embedpool/core/thread_scratch.hpp"
#include "embedpool/kernels/dot.hpp"
#include "embedpool/kernels/softmax.hpp"

namespace embedpool {

namespace scalar {

/// The definition: out_i = sum over j in mask.keys(i) of softmax_j(scale q_i . k_j) v_j, head by head, text by text.
template <Real S, MaskPolicy M>
void masked_attention(Rows<const S> q, Rows<const S> k, Rows<const S> v, const Segments& segments,
                      const RowSelection& queries, const AttentionShape& shape, const M& mask, Rows<S> out) {
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
  for (Index b = 0; b < segments.size(); ++b)
    for (Index h = 0; h < shape.heads; ++h)
      for (Index i = 0; i < queries.held(b).size(); ++i) {
        const Interval keys = mask.keys(queries.held(b).begin + i, segments.shape(b));
        const Index first = segments.offset(b) + keys.begin, row = queries.first_row(b) + i;
        std::vector<S> weights(static_cast<std::size_t>(keys.size()));
        for (Index j = 0; j < keys.size(); ++j)
          weights[static_cast<std::size_t>(j)] =
              static_cast<S>(shape.scale) *
              dot(std::span<const S>(q.row_data(row) + h * d, static_cast<std::size_t>(d)),
                  std::span<const S>(k.row_data(first + j) + h / group * d, static_cast<std::size_t>(d)));
        softmax(std::span<S>(weights));
        for (Index c = 0; c < d; ++c) {
          S sum = 0;
          for (Index j = 0; j < keys.size(); ++j)
            sum += weights[static_cast<std::size_t>(j)] * v(first + j, h / group * d + c);
          out(row, h * d + c) = sum;
        }
      }
}

}  // namespace scalar

namespace simd {

/// Queries that share their key interval's bounds and a pass over the packed keys.
inline constexpr Index query_tile = 48;

/// Keys and values of every (text, key/value head), packed as SmallPanels: keys for scores, values to be mixed.
template <Real S>
class PackedKeysValues {
 public:
  using Panels = SmallPanels<S>;

  template <Executor E>
  void pack(Rows<const S> k, Rows<const S> v, const Segments& segments, const AttentionShape& shape, E& executor) {
    shape_ = shape;
    first_.clear();
    Index size = 0;
    for (Index b = 0; b < segments.size(); ++b) {
      first_.push_back(size);
      size += shape.kv_heads * (key_size(segments.shape(b).tokens) + value_size(segments.shape(b).tokens));
    }
    S* data = buffer_.reserve(size);
    executor.parallel_for(segments.size() * shape.kv_heads, [&](Index job, Index) {
      const Index b = job / shape.kv_heads, g = job % shape.kv_heads, tokens = segments.shape(b).tokens;
      S* keys = data + place(b, g, tokens);
      const auto part = [&](Rows<const S> rows) {
        return rows.middle_rows(segments.offset(b), tokens).middle_cols(g * shape.head_dim, shape.head_dim);
      };
      Panels::pack_transposed(part(k), keys);
      Panels::pack(part(v), keys + key_size(tokens));
    });
  }
  /// Panels of head_dim rows for q k^T.
  const S* keys(Index b, Index g, Index tokens) const noexcept { return buffer_.data() + place(b, g, tokens); }
  /// Panels of `tokens` rows for weights v.
  const S* values(Index b, Index g, Index tokens) const noexcept { return keys(b, g, tokens) + key_size(tokens); }

 private:
  Index key_size(Index tokens) const noexcept { return Panels::size(shape_.head_dim, tokens); }
  Index value_size(Index tokens) const noexcept { return Panels::size(tokens, shape_.head_dim); }
  Index place(Index b, Index g, Index tokens) const noexcept {
    return first_[static_cast<std::size_t>(b)] + g * (key_size(tokens) + value_size(tokens));
  }

  AlignedBuffer<S> buffer_;
  std::vector<Index> first_;
  AttentionShape shape_{};
};

/// Stores scaled scores in whole registers: rows have room for them.
template <Real S>
struct StoreScores {
  Rows<S> scores;
  Vector<S> scale;
  template <std::size_t V>
  void store(Index row, Index column, const Vector<S> (&sums)[V], Index) const noexcept {
    S* to = scores.row_data(row) + column;
    for (std::size_t v = 0; v < V; ++v) (sums[v] * scale).store_aligned(to + static_cast<Index>(v) * lanes<S>);
  }
};

/// One tile of queries of one head: scores against the packed keys, softmax over each query's own interval (weights
/// outside become exactly 0), and the weighted sum of the packed values.
///
/// Order   sums run over rising keys; zeros before and after a query's interval do not change them, so a row's result
///         depends on its text alone, not on the tile it is in
template <Real S, MaskPolicy M>
void attend_tile(Rows<const S> q, Interval tile, const TextShape& text, const PackedKeysValues<S>& packed, Index b,
                 Index g, const AttentionShape& shape, const M& mask, AlignedBuffer<S>& scratch, Rows<S> out) {
  constexpr Index width = Tile<S>::width;
  const Index begin = mask.keys(tile.begin, text).begin / width * width;  // what any query of the tile sees
  const Index end = mask.keys(tile.end - 1, text).end, columns = (end - begin + width - 1) / width * width;
  const Rows<S> scores(scratch.reserve(q.rows * columns), q.rows, end - begin, columns);
  SmallPanels<S>::multiply(q, packed.keys(b, g, text.tokens) + begin * shape.head_dim, shape.head_dim, 0, end - begin,
                           StoreScores<S>{scores, Vector<S>(static_cast<S>(shape.scale))});
  for (Index i = 0; i < q.rows; ++i) {
    const Interval seen = mask.keys(tile.begin + i, text);
    S *row = scores.row_data(i), *first = row + (seen.begin - begin), *last = first + seen.size();
    softmax(std::span<S>(first, last));
    std::fill(row, first, S(0));
    std::fill(last, row + scores.cols, S(0));
  }
  SmallPanels<S>::multiply(scores, packed.values(b, g, text.tokens), text.tokens, begin, out.cols, StoreTo<S>{out});
}

}  // namespace simd

/// Attention of packed, ragged texts under a mask policy: exact softmax, no [n, n] buffer, tiles outside the mask's
/// intervals skipped. Only the queries in the selection are computed.
///
/// Shapes  q, out [queries.rows(), NH d], packed by the selection; k, v [N, NKV d]
/// Order   a text's rows do not depend on the batch, on other queries, or on the executor; under a causal mask rows
///         before t do not change to the bit when token t does
template <Real S, MaskPolicy M, Executor E>
void masked_attention(Rows<const S> q, Rows<const S> k, Rows<const S> v, const Segments& segments,
                      const RowSelection& queries, const AttentionShape& shape, const M& mask, Rows<S> out,
                      E& executor) {
  struct Job {
    Index text, first;  // query tile of a text: positions in its held interval
  };
  const ThreadScratch<simd::PackedKeysValues<S>> packed;
  const ThreadScratch<std::vector<Job>> tiles;
  packed->pack(k, v, segments, shape, executor);
  std::vector<Job>& jobs = *tiles;
  jobs.clear();
  for (Index b = 0; b < segments.size(); ++b)
    for (Index first = 0; first < queries.held(b).size(); first += simd::query_tile) jobs.push_back({b, first});

  executor.parallel_for(static_cast<Index>(jobs.size()) * shape.heads, [&](Index job, Index) {
    thread_local AlignedBuffer<S> scratch;
    // Late queries of causal texts cost most: hand them out first.
    const auto [b, first] = jobs[jobs.size() - 1 - static_cast<std::size_t>(job / shape.heads)];
    const Index h = job % shape.heads, g = h / (shape.heads / shape.kv_heads), d = shape.head_dim;
    const Interval held = queries.held(b);
    const Index count = std::min(simd::query_tile, held.size() - first), row = queries.first_row(b) + first;
    simd::attend_tile(q.middle_rows(row, count).middle_cols(h * d, d),
                      Interval{held.begin + first, held.begin + first + count}, segments.shape(b), *packed, b, g, shape,
                      mask, scratch, out.middle_rows(row, count).middle_cols(h * d, d));
  });
}

}  // namespace embedpool
