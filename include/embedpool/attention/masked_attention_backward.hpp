#pragma once
#include <vector>

#include "embedpool/attention/masked_attention.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool {

namespace scalar {

/// The definition: with p = softmax over mask.keys(i) of scale q_i . k_j,
///
///   dv_j += p_ij dout_i,   ds_ij = p_ij (dout_i . v_j - sum over l of p_il dout_i . v_l),
///   dq_i = scale sum over j of ds_ij k_j,   dk_j += scale ds_ij q_i
template <Real S, MaskPolicy M>
void masked_attention_backward(Rows<const S> q, Rows<const S> k, Rows<const S> v, const Segments& segments,
                               const RowSelection& queries, const AttentionShape& shape, const M& mask,
                               Rows<const S> dout, Rows<S> dq, Rows<S> dk, Rows<S> dv) {
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
  for (const Rows<S>& rows : {dq, dk, dv})
    for (Index i = 0; i < rows.rows; ++i) std::fill_n(rows.row_data(i), rows.cols, S(0));
  for (Index b = 0; b < segments.size(); ++b)
    for (Index h = 0; h < shape.heads; ++h)
      for (Index i = 0; i < queries.held(b).size(); ++i) {
        const Interval keys = mask.keys(queries.held(b).begin + i, segments.shape(b));
        const Index first = segments.offset(b) + keys.begin, row = queries.first_row(b) + i;
        const auto part = [d](auto rows, Index r, Index head) {
          return std::span<const S>(rows.row_data(r) + head * d, static_cast<std::size_t>(d));
        };
        std::vector<S> p(static_cast<std::size_t>(keys.size())), dp(p.size());
        for (Index j = 0; j < keys.size(); ++j) {
          p[static_cast<std::size_t>(j)] =
              static_cast<S>(shape.scale) * dot(part(q, row, h), part(k, first + j, h / group));
          dp[static_cast<std::size_t>(j)] = dot(part(dout, row, h), part(v, first + j, h / group));
        }
        softmax(std::span<S>(p));
        const S mean = dot(std::span<const S>(p), std::span<const S>(dp));
        for (Index j = 0; j < keys.size(); ++j) {
          const S weight = p[static_cast<std::size_t>(j)];
          const S ds = static_cast<S>(shape.scale) * weight * (dp[static_cast<std::size_t>(j)] - mean);
          for (Index c = 0; c < d; ++c) {
            dq(row, h * d + c) += ds * k(first + j, h / group * d + c);
            dk(first + j, h / group * d + c) += ds * q(row, h * d + c);
            dv(first + j, h / group * d + c) += weight * dout(row, h * d + c);
          }
        }
      }
}

}  // namespace scalar

namespace simd {

/// The scratch of one worker: a text's keys and values of one head, and one tile of queries.
template <Real S>
struct AttentionBackwardScratch {
  AlignedBuffer<S> keys, keys_transposed, values_transposed;  // panels
  AlignedBuffer<S> weights, dscores, transposed;              // [tile, n], [tile, n], [n, tile]
  AlignedBuffer<S> tile_panels;                               // of a tile of q or dout
};

/// One text and one key/value head: its query heads, tile after tile. dk and dv were cleared.
///
/// Order   sums run over rising query heads and tiles, in one job: they depend on the text alone
template <Real S, MaskPolicy M>
void attend_backward(Rows<const S> q, Rows<const S> k, Rows<const S> v, Interval held, const TextShape& text,
                     const AttentionShape& shape, const M& mask, Rows<const S> dout, Rows<S> dq, Rows<S> dk, Rows<S> dv,
                     AttentionBackwardScratch<S>& scratch) {
  using Panels = SmallPanels<S>;
  constexpr Index width = Tile<S>::width;
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads, n = text.tokens;
  const S scale = static_cast<S>(shape.scale);
  S* const keys = scratch.keys.reserve(Panels::size(n, d));
  S* const keys_transposed = scratch.keys_transposed.reserve(Panels::size(d, n));
  S* const values_transposed = scratch.values_transposed.reserve(Panels::size(d, n));
  Panels::pack(k, keys);
  Panels::pack_transposed(k, keys_transposed);
  Panels::pack_transposed(v, values_transposed);
  S* const tile_panels = scratch.tile_panels.reserve(Panels::size(query_tile, d));

  for (Index h = 0; h < group; ++h)
    for (Index first = 0; first < held.size(); first += query_tile) {
      const Index count = std::min(query_tile, held.size() - first);
      const auto tile = [&](auto rows) { return rows.middle_rows(first, count).middle_cols(h * d, d); };
      const Index begin = mask.keys(held.begin + first, text).begin / width * width;  // what any query of the tile sees
      const Index seen = mask.keys(held.begin + first + count - 1, text).end - begin;
      const Index stride = (seen + width - 1) / width * width;
      const Rows<S> p(scratch.weights.reserve(query_tile * stride), count, seen, stride);
      const Rows<S> ds(scratch.dscores.reserve(query_tile * stride), count, seen, stride);
      const Index skipped = begin / width * d * width;  // panels of keys before the first one that is seen
      Panels::multiply(tile(q), keys_transposed + skipped, d, 0, seen, StoreTo<S>{p});
      Panels::multiply(tile(dout), values_transposed + skipped, d, 0, seen, StoreTo<S>{ds});

      for (Index i = 0; i < count; ++i) {
        const Interval own = mask.keys(held.begin + first + i, text);
        const std::size_t from = static_cast<std::size_t>(own.begin - begin), size = static_cast<std::size_t>(own.size());
        const std::span<S> weights = p.row(i).subspan(from, size), gradients = ds.row(i).subspan(from, size);
        for (S& score : weights) score *= scale;
        softmax(weights);
        const S mean = dot<S>(weights, gradients);
        for (std::size_t j = 0; j < size; ++j) gradients[j] = scale * weights[j] * (gradients[j] - mean);
        for (const Rows<S>& rows : {p, ds}) {  // what the query does not see has weight 0
          std::fill_n(rows.row_data(i), from, S(0));
          std::fill(rows.row_data(i) + from + size, rows.row_data(i) + seen, S(0));
        }
      }

      Panels::multiply(ds, keys, n, begin, d, StoreTo<S>{tile(dq)});  // dQ = dS K
      const Rows<S> transposed(scratch.transposed.reserve(seen * query_tile), seen, count, query_tile);
      Panels::pack(tile(q), tile_panels);
      transpose_rows(Rows<const S>(ds), transposed);
      Panels::multiply(transposed, tile_panels, count, 0, d, AddTo<S>{dk.middle_rows(begin, seen)});  // dK += dS^T Q
      Panels::pack(tile(dout), tile_panels);
      transpose_rows(Rows<const S>(p), transposed);
      Panels::multiply(transposed, tile_panels, count, 0, d, AddTo<S>{dv.middle_rows(begin, seen)});  // dV += P^T dO
    }
}

}  // namespace simd

/// The way back through masked_attention: the gradients of q, k and v, given that of the output. Attention weights are
/// made again, a tile of queries at a time, from q and k; no [n, n] buffer. The arguments of the forward pass, and
///
/// Shapes  dout, dq [queries.rows(), NH d]; dk, dv [N, NKV d]; dq, dk and dv are overwritten
/// Order   a text and a key/value head is one job: bit-identical in any batch, for any executor
template <Real S, MaskPolicy M, Executor E>
void masked_attention_backward(Rows<const S> q, Rows<const S> k, Rows<const S> v, const Segments& segments,
                               const RowSelection& queries, const AttentionShape& shape, const M& mask,
                               Rows<const S> dout, Rows<S> dq, Rows<S> dk, Rows<S> dv, E& executor) {
  executor.parallel_for(segments.size() * shape.kv_heads, [&](Index job, Index) {
    thread_local simd::AttentionBackwardScratch<S> scratch;
    const Index b = job / shape.kv_heads, g = job % shape.kv_heads, d = shape.head_dim;
    const Index wide = shape.heads / shape.kv_heads * d;  // the query heads of this key/value head
    const auto asked = [&](auto rows) {
      return rows.middle_rows(queries.first_row(b), queries.held(b).size()).middle_cols(g * wide, wide);
    };
    const auto answer = [&](auto rows) {
      return rows.middle_rows(segments.offset(b), segments.shape(b).tokens).middle_cols(g * d, d);
    };
    for (const Rows<S>& rows : {answer(dk), answer(dv)})
      for (Index i = 0; i < rows.rows; ++i) std::fill_n(rows.row_data(i), d, S(0));
    simd::attend_backward(asked(q), answer(k), answer(v), queries.held(b), segments.shape(b), shape, mask, asked(dout),
                          asked(dq), answer(dk), answer(dv), scratch);
  });
}

}  // namespace embedpool
