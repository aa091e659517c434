#pragma once
#include <cmath>
#include <vector>

#include "embedpool/attention/mask.hpp"
#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/core/layer_states.hpp"
#include "embedpool/kernels/dot.hpp"
#include "embedpool/kernels/epilogue.hpp"
#include "embedpool/kernels/softmax.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool {

/// Heads of an attention: query head h reads key/value head h / (heads / kv_heads) (grouped queries, arXiv 2305.13245).
struct AttentionShape {
  Index heads = 1;
  Index kv_heads = 1;
  Index head_dim = 1;
  double scale = 1.0;  ///< usually 1 / sqrt(head_dim)
};

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

/// Keys and values of every (text, key/value head), packed as panels that the GEMM tile multiplies with: keys
/// transposed, [d, Tile::width] a panel of keys; values [tokens, Tile::width] a panel of columns, both zero-padded.
template <Real S>
class PackedKeysValues {
 public:
  static constexpr Index width = Tile<S>::width;
  static constexpr Index panels_of(Index count) noexcept { return (count + width - 1) / width; }

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
      pack_keys(part(k), keys);
      pack_values(part(v), keys + key_size(tokens));
    });
  }
  /// Panel p of the keys: [head_dim, width].
  const S* keys(Index b, Index g, Index tokens, Index p) const noexcept {
    return buffer_.data() + place(b, g, tokens) + p * shape_.head_dim * width;
  }
  /// Panel p of the values: [tokens, width].
  const S* values(Index b, Index g, Index tokens, Index p) const noexcept {
    return buffer_.data() + place(b, g, tokens) + key_size(tokens) + p * padded(tokens) * width;
  }

 private:
  static Index padded(Index tokens) noexcept { return panels_of(tokens) * width; }
  Index key_size(Index tokens) const noexcept { return padded(tokens) * shape_.head_dim; }
  Index value_size(Index tokens) const noexcept { return padded(tokens) * panels_of(shape_.head_dim) * width; }
  Index place(Index b, Index g, Index tokens) const noexcept {
    return first_[static_cast<std::size_t>(b)] + g * (key_size(tokens) + value_size(tokens));
  }

  static void pack_keys(Rows<const S> k, S* out) noexcept {
    constexpr Index n = lanes<S>;
    for (Index first = 0; first < panels_of(k.rows) * width; first += n) {
      S* strip = out + first / width * k.cols * width + first % width;
      if (first + n <= k.rows) {
        transpose(k.middle_rows(first, n), strip, width);
        continue;
      }
      for (Index c = 0; c < k.cols; ++c)
        for (Index i = 0; i < n; ++i) strip[c * width + i] = first + i < k.rows ? k(first + i, c) : S(0);
    }
  }
  /// Rows up to the padded count are zeros: a weight of 0 there adds nothing.
  static void pack_values(Rows<const S> v, S* out) noexcept {
    const Index rows = padded(v.rows);
    for (Index p = 0; p < panels_of(v.cols); ++p)
      for (Index t = 0; t < rows; ++t, out += width) {
        const Index count = t < v.rows ? std::min(width, v.cols - p * width) : 0;
        std::copy_n(count > 0 ? v.row_data(t) + p * width : nullptr, count, out);
        std::fill(out + count, out + width, S(0));
      }
  }

  AlignedBuffer<S> buffer_;
  std::vector<Index> first_;
  AttentionShape shape_{};
};

/// One tile of queries of one head: scores against the packed keys, softmax over each query's own interval (weights
/// outside become exactly 0), and the weighted sum of the packed values.
///
/// Order   sums run over rising keys from the start of a panel; zeros before and after a query's interval do not change
///         them, so a row's result depends on its text alone, not on the tile it is in
template <Real S, MaskPolicy M>
void attend_tile(Rows<const S> q, Interval tile, const TextShape& text, const PackedKeysValues<S>& packed, Index b,
                 Index g, const AttentionShape& shape, const M& mask, AlignedBuffer<S>& scratch, Rows<S> out) {
  constexpr Index width = PackedKeysValues<S>::width;
  const Index begin = mask.keys(tile.begin, text).begin / width;  // panels of keys that any query of the tile sees
  const Index end = PackedKeysValues<S>::panels_of(mask.keys(tile.end - 1, text).end);
  const Index columns = (end - begin) * width;
  const Rows<S> scores = scratch.rows(q.rows, columns);
  const Vector<S> scale(static_cast<S>(shape.scale));
  for (Index p = begin; p < end; ++p)
    multiply_panel(q, packed.keys(b, g, text.tokens, p), static_cast<const S*>(nullptr), [&](Index row, const auto& sums) {
      S* to = scores.row_data(row) + (p - begin) * width;
      for (int v = 0; v < Tile<S>::vectors; ++v) (sums[v] * scale).store_aligned(to + v * lanes<S>);
    });
  for (Index i = 0; i < q.rows; ++i) {
    const Interval keys = mask.keys(tile.begin + i, text);
    S* row = scores.row_data(i);
    S *first = row + keys.begin - begin * width, *last = first + keys.size();
    softmax(std::span<S>(first, last));
    std::fill(row, first, S(0));
    std::fill(last, row + columns, S(0));
  }
  for (Index p = 0; p < PackedKeysValues<S>::panels_of(shape.head_dim); ++p) {
    const Index valid = std::min(width, shape.head_dim - p * width);
    const StoreTo<S> store{out};
    multiply_panel(Rows<const S>(scores), packed.values(b, g, text.tokens, p) + begin * width * width,
                   static_cast<const S*>(nullptr),
                   [&](Index row, const auto& sums) { store.store(row, p * width, sums, valid); });
  }
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
                      const RowSelection& queries, const AttentionShape& shape, const M& mask, Rows<S> out, E& executor) {
  struct Job {
    Index text, first;  // query tile of a text: positions in its held interval
  };
  thread_local simd::PackedKeysValues<S> packed;
  thread_local std::vector<Job> jobs;
  packed.pack(k, v, segments, shape, executor);
  jobs.clear();
  for (Index b = 0; b < segments.size(); ++b)
    for (Index first = 0; first < queries.held(b).size(); first += simd::query_tile) jobs.push_back({b, first});

  const auto& shared = packed;  // the calling thread's; workers must not see their own
  const auto& work = jobs;
  executor.parallel_for(static_cast<Index>(jobs.size()) * shape.heads, [&](Index job, Index) {
    thread_local AlignedBuffer<S> scratch;
    // Late queries of causal texts cost most: hand them out first.
    const auto [b, first] = work[work.size() - 1 - static_cast<std::size_t>(job / shape.heads)];
    const Index h = job % shape.heads, g = h / (shape.heads / shape.kv_heads), d = shape.head_dim;
    const Interval held = queries.held(b);
    const Index count = std::min(simd::query_tile, held.size() - first), row = queries.first_row(b) + first;
    simd::attend_tile(q.middle_rows(row, count).middle_cols(h * d, d),
                      Interval{held.begin + first, held.begin + first + count}, segments.shape(b), shared, b, g, shape,
                      mask, scratch, out.middle_rows(row, count).middle_cols(h * d, d));
  });
}

}  // namespace embedpool
