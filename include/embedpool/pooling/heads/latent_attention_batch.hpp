#pragma once
#include <vector>

#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/fixed_queries.hpp"
#include "embedpool/pooling/heads/geglu_rows.hpp"

/// LatentAttention on the rows of many texts: rows ask, latents answer. A row's score with a latent is symmetric in the
/// two, so the latents' keys are prepared as queries are, with W_q folded into them where that is less work.
namespace embedpool::head_math {

template <Real S>
struct PreparedLatents {
  FixedQueries<S> keys;
  Matrix<S> v;                   // [r, H d] where it is not projected
  simd::PackedPanels<S> values;  // W_O,h v_h [H r, D], row h r + i, where that is less work for a row
  bool projected = false;
  PreparedGeglu<S> feed_forward;
};

template <Real S>
PreparedLatents<S> prepare_latents(const CrossAttendParams<S>& p, const GegluParams<S>& feed_forward,
                                   Rows<const S> normed_latents, Index heads, ExecutorRef executor) {
  const Index inner = p.to_q.rows(), d = inner / heads, r = normed_latents.rows, width = normed_latents.cols;
  const Rows<const S> to_kv = rows_of(p.to_kv);
  PreparedLatents<S> prepared;
  const AttentionSizes sizes{width, r, heads, d};
  prepared.keys =
      prepare_queries<S>(sizes, normed_latents, to_kv.middle_rows(0, inner), rows_of(p.to_q), Matrix<S>(), executor);
  prepared.v.resize(r, inner);
  product_nt(normed_latents, to_kv.middle_rows(inner, inner), StoreTo<S>{rows_of(prepared.v)}, executor);
  prepared.projected = project_fixed_values(sizes);
  if (prepared.projected) {
    Matrix<S> values(heads * r, width);
    for (Index h = 0; h < heads; ++h)
      product_nt(rows_of(std::as_const(prepared.v)).middle_cols(h * d, d), rows_of(p.to_out).middle_cols(h * d, d),
                 StoreTo<S>{rows_of(values).middle_rows(h * r, r)}, executor);
    prepared.values = simd::PackedPanels<S>(StridedColumnPanels<S>{rows_of(std::as_const(values))}, executor);
    prepared.v.resize(0, 0);
  }
  prepared.feed_forward = prepare_geglu(feed_forward, executor);
  return prepared;
}

template <Real S>
struct LatentAttentionBatch {
  std::vector<Index> first;  // rows of text b are [first[b], first[b + 1])
  RowNorms<S> norms;
  ScratchMatrix<S> y, x;     // [N, D] normed; and what goes to the feed-forward
  ScratchMatrix<S> q, a, o;  // [N, H d], [N, H r], [N, H d]
  GegluRowsCache<S> feed_forward;
};

template <Real S>
void latent_attention_forward(const CrossAttendParams<S>& p, const GegluParams<S>& feed_forward,
                              const PreparedLatents<S>& prepared, std::span<const Keys<S>> texts,
                              LatentAttentionBatch<S>& batch, Rows<S> e, ExecutorRef executor) {
  const AttentionSizes& sizes = prepared.keys.sizes;
  const Index width = sizes.width, heads = sizes.heads, r = sizes.queries, d = sizes.head_dim;
  batch.first.assign(1, 0);
  for (const Keys<S>& keys : texts) batch.first.push_back(batch.first.back() + keys.rows.rows);
  const Index rows = batch.first.back();
  const Rows<S> x = batch.x.resize(rows, width), y = batch.y.resize(rows, width), a = batch.a.resize(rows, heads * r);
  executor.parallel_for(static_cast<Index>(texts.size()), [&](Index b, Index) {
    const Rows<const S> keys = texts[static_cast<std::size_t>(b)].rows;
    for (Index n = 0; n < keys.rows; ++n)
      std::copy_n(keys.row_data(n), width, x.row_data(batch.first[static_cast<std::size_t>(b)] + n));
  });
  batch.norms.standardise(Rows<const S>(x), executor);
  batch.norms.apply(p.hidden_gain, p.hidden_bias, y, executor);
  score_keys(prepared.keys, Rows<const S>(y), rows_of(p.to_q), batch.q, a, executor);
  for_each_row(rows, executor, [&](Index i) {
    for (Index h = 0; h < heads; ++h) simd::softmax(a.middle_cols(h * r, r).row(i));
  });
  if (prepared.projected) {
    simd::gemm_panels(Rows<const S>(a), prepared.values, width, AddTo<S>{x}, executor);
  } else {
    const Rows<S> o = batch.o.resize(rows, sizes.inner());
    for_each_part(heads, executor, [&](Index h, ExecutorRef inside) {
      product_nn(Rows<const S>(a).middle_cols(h * r, r), rows_of(prepared.v).middle_cols(h * d, d),
                 StoreTo<S>{o.middle_cols(h * d, d)}, inside);
    });
    product_nt(Rows<const S>(o), rows_of(p.to_out), AddTo<S>{x}, executor);
  }
  geglu_mean_rows(feed_forward, prepared.feed_forward, Rows<const S>(x), batch.first, false, batch.feed_forward, e,
                  executor);
}

}  // namespace embedpool::head_math
