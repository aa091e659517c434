#pragma once
#include "embedpool/pooling/heads/attend_group.hpp"

/// The way back through attend_group. With the key projection folded nothing here is of size keys x D x H d for the
/// scores: the gradient stays with the folded queries and goes on to W_q, W_K and the latents once, in chain_queries.
namespace embedpool::head_math {

/// Room of the way back, used again by every group.
template <Real S>
struct AttendBackwardScratch {
  ScratchMatrix<S> da;      // [N, H r]
  ScratchMatrix<S> dmixed;  // as mixed of the group
  ScratchMatrix<S> dv;      // [N, H d]
  ScratchMatrix<S> dpooled, turned;
  ScratchMatrix<S> dy, dx_hat;  // [N, D]
};

/// Through the values of project_first: mixed = W_O,h v_h, x += sum over heads and keys of a mixed.
template <Real S>
void project_first_backward(const CrossAttendParams<S>& p, const AttentionSizes& s, const AttendGroup<S>& g,
                            Rows<const S> dx, CrossAttendParams<S>& dp, AttendBackwardScratch<S>& c,
                            ExecutorRef executor) {
  const Index r = s.queries, heads = s.heads, d = s.head_dim;
  const Rows<S> da = c.da.resize(g.keys(), heads * r), dmixed = c.dmixed.resize(g.keys() * heads, s.width);
  for_each_part(g.size(), executor, [&](Index t, ExecutorRef inside) {
    const Index n = g.keys(t), begin = g.first_key(t);
    const Rows<const S> dx_t = dx.middle_rows(t * r, r), weights(g.a.rows().row_data(begin), n * heads, r);
    const Rows<const S> mixed = g.mixed.rows();
    product_nn(weights, dx_t, StoreTo<S>{dmixed.middle_rows(begin * heads, n * heads)}, inside);
    product_nt(mixed.middle_rows(begin * heads, n * heads), dx_t, StoreTo<S>{Rows<S>(da.row_data(begin), n * heads, r)},
               inside);
  });
  const Rows<S> dv = c.dv.resize(g.keys(), s.inner());
  const Rows<const S> v = g.v.rows(), to_out = rows_of(p.to_out);
  for_each_part(heads, executor, [&](Index h, ExecutorRef inside) {
    const Rows<const S> dmixed_h = rows_of_head(dmixed, h, heads);
    product_nn(dmixed_h, to_out.middle_cols(h * d, d), StoreTo<S>{dv.middle_cols(h * d, d)}, inside);
    add_product_tn(dmixed_h, v.middle_cols(h * d, d), rows_of(dp.to_out).middle_cols(h * d, d), inside);
  });
}

/// Through the values of mix_between: o_h = A_h v_h; dmixed holds do.
template <Real S>
void mix_between_backward(const AttentionSizes& s, const AttendGroup<S>& g, AttendBackwardScratch<S>& c,
                          ExecutorRef executor) {
  const Index r = s.queries, heads = s.heads, d = s.head_dim;
  const Rows<S> da = c.da.resize(g.keys(), heads * r), dv = c.dv.resize(g.keys(), s.inner());
  for_each_part(g.size(), executor, [&](Index t, ExecutorRef inside) {
    const auto of_text = [&](auto rows) { return rows.middle_rows(g.first_key(t), g.keys(t)); };
    for (Index h = 0; h < heads; ++h) {
      const Rows<const S> d_o = c.dmixed.rows().middle_rows(t * r, r).middle_cols(h * d, d);
      product_nn(Rows<const S>(of_text(g.a.rows()).middle_cols(h * r, r)), d_o,
                 StoreTo<S>{of_text(dv).middle_cols(h * d, d)}, inside);
      product_nt(Rows<const S>(of_text(g.v.rows()).middle_cols(h * d, d)), d_o,
                 StoreTo<S>{of_text(da).middle_cols(h * r, r)}, inside);
    }
  });
}

/// Through the values of pool_first: o_h = (gain .* (A_h x_hat) + bias) W_V,h^T; dmixed holds do.
template <Real S>
void pool_first_backward(const CrossAttendParams<S>& p, const AttentionSizes& s, const AttendGroup<S>& g,
                         CrossAttendParams<S>& dp, AttendBackwardScratch<S>& c, ExecutorRef executor) {
  const Index r = s.queries, heads = s.heads, d = s.head_dim, inner = s.inner(), rows = r * heads;
  const Rows<S> dpooled = c.dpooled.resize(g.size() * rows, s.width);
  const Rows<const S> d_o = c.dmixed.rows(), pooled = g.pooled.rows(), hat = g.norms.x_hat.rows();
  for_each_part(heads, executor, [&](Index h, ExecutorRef inside) {
    const Rows<const S> d_o_h = d_o.middle_cols(h * d, d);
    product_nn(d_o_h, rows_of(p.to_kv).middle_rows(inner + h * d, d), StoreTo<S>{rows_of_head(dpooled, h, heads)},
               inside);
    add_product_tn(d_o_h, rows_of_head(pooled, h, heads), rows_of(dp.to_kv).middle_rows(inner + h * d, d), inside);
  });
  add_column_sums<S>(dpooled, g.pooled_hat.rows(), &dp.hidden_gain, dp.hidden_bias, executor);
  scale_columns(dpooled, p.hidden_gain, executor);
  const Rows<S> da = c.da.resize(g.keys(), rows), turned = c.turned.resize(g.keys(), rows);
  const Rows<S> dx_hat = c.dx_hat.rows();
  for_each_part(g.size(), executor, [&](Index t, ExecutorRef inside) {
    const Index n = g.keys(t), begin = g.first_key(t);
    const Rows<const S> dpooled_t = dpooled.middle_rows(t * rows, rows);
    const Rows<S> room(turned.row_data(begin), rows, n);  // row i H + h
    product_nt(dpooled_t, hat.middle_rows(begin, n), StoreTo<S>{room}, inside);
    for (Index h = 0; h < heads; ++h)
      transpose_any(Rows<const S>(rows_of_head(room, h, heads)), da.row_data(begin) + h * r, da.stride);
    transpose_any(Rows<const S>(g.turned_of(t, rows)), room.data, rows);
    product_nn(Rows<const S>(room.data, n, rows), dpooled_t, AddTo<S>{dx_hat.middle_rows(begin, n)}, inside);
  });
}

/// Through the scores: da becomes dz; then to the queries, and to the keys as they were asked.
template <Real S>
void scores_backward(const CrossAttendParams<S>& p, const FixedQueries<S>& q, const AttendGroup<S>& g,
                     CrossAttendParams<S>& dp, Matrix<S>& dqueries, AttendBackwardScratch<S>& c, ExecutorRef executor) {
  const Index r = q.sizes.queries, d = q.sizes.head_dim, inner = q.sizes.inner();
  const Rows<S> dz = c.da.rows();
  softmax_over_keys_backward(g.a.rows(), dz, g.first, executor);
  if (q.folded) {
    add_product_tn(Rows<const S>(dz), g.norms.x_hat.rows(), rows_of(dqueries), executor);
    return product_nn(Rows<const S>(dz), rows_of(q.rows), AddTo<S>{c.dx_hat.rows()}, executor);
  }
  const Rows<const S> k = g.k.rows();
  const Rows<S> dk = c.dv.resize(k.rows, k.cols);
  for_each_part(q.sizes.heads, executor, [&](Index h, ExecutorRef inside) {
    const Rows<const S> dz_h = dz.middle_cols(h * r, r);
    product_nn(dz_h, rows_of(q.rows).middle_rows(h * r, r), StoreTo<S>{dk.middle_cols(h * d, d)}, inside);
    add_product_tn(dz_h, k.middle_cols(h * d, d), rows_of(dqueries).middle_rows(h * r, r), inside);
  });
  add_product_tn(Rows<const S>(dk), g.y.rows(), rows_of(dp.to_kv).middle_rows(0, inner), executor);
  product_nn(Rows<const S>(dk), rows_of(p.to_kv).middle_rows(0, inner), AddTo<S>{c.dy.rows()}, executor);
}

/// Adds to dp and to dqueries (shapes of FixedQueries::rows); gives the gradient of the keys before their LayerNorm,
/// [N, D], in c.dx_hat.
///
/// Shapes  dx as x of attend_group
template <Real S>
void attend_group_backward(const CrossAttendParams<S>& p, const FixedQueries<S>& q, const AttendGroup<S>& g,
                           Rows<const S> dx, CrossAttendParams<S>& dp, Matrix<S>& dqueries, AttendBackwardScratch<S>& c,
                           ExecutorRef executor) {
  const AttentionSizes& s = q.sizes;
  const Index inner = s.inner(), n = g.keys();
  const auto zero = [](Rows<S> rows) { std::fill_n(rows.data, rows.rows * rows.cols, S(0)); };
  const Rows<S> dx_hat = c.dx_hat.resize(n, s.width), dy = c.dy.resize(n, s.width);
  zero(dx_hat);
  zero(dy);
  const bool one_key = g.order == ValueOrder::one_key;
  if (g.order == ValueOrder::project_first) {
    project_first_backward(p, s, g, dx, dp, c, executor);
  } else {
    Rows<const S> dout = dx;  // of the rows that W_O gave
    if (one_key) {
      const Index rows = dx.rows / g.size();
      const Rows<S> sums = c.dpooled.resize(g.size(), s.width);
      executor.parallel_for(g.size(),
                            [&](Index t, Index) { sum_rows(dx.middle_rows(t * rows, rows), S(1), sums.row_data(t)); });
      dout = sums;
    }
    const Rows<const S> before = one_key ? g.v.rows() : g.mixed.rows();
    const Rows<S> d_o = one_key ? c.dv.resize(g.size(), inner) : c.dmixed.resize(dx.rows, inner);
    product_nn(dout, rows_of(p.to_out), StoreTo<S>{d_o}, executor);
    add_product_tn(dout, before, rows_of(dp.to_out), executor);
    if (g.order == ValueOrder::mix_between) mix_between_backward(s, g, c, executor);
    if (g.order == ValueOrder::pool_first) pool_first_backward(p, s, g, dp, c, executor);
  }
  if (g.order != ValueOrder::pool_first) {
    const Rows<const S> dv = c.dv.rows();
    add_product_tn(dv, g.y.rows(), rows_of(dp.to_kv).middle_rows(inner, inner), executor);
    product_nn(dv, rows_of(p.to_kv).middle_rows(inner, inner), StoreTo<S>{dy}, executor);
  }
  if (!one_key) scores_backward(p, q, g, dp, dqueries, c, executor);
  if (g.needs_y(q.folded)) {
    add_column_sums<S>(dy, g.norms.x_hat.rows(), &dp.hidden_gain, dp.hidden_bias, executor);
    scale_columns(dy, p.hidden_gain, executor);
    for_each_row(n, executor, [&](Index i) { simd::axpy(S(1), Rows<const S>(dy).row(i), dx_hat.row_data(i)); });
  }
  g.norms.backward(dx_hat, executor);
}

/// From the gradient of the prepared queries, summed over as many batches as there were, to what they were made of:
/// adds to dp (to_q, the K half of to_kv, the hidden gain) and to dx [r, D], the rows that the queries were projected
/// from. Cost: that of preparing, three times; once for all texts.
template <Real S>
void chain_queries(const CrossAttendParams<S>& p, const FixedQueries<S>& q, Rows<const S> x, const Matrix<S>& dqueries,
                   CrossAttendParams<S>& dp, Rows<S> dx, ExecutorRef executor) {
  const Index r = q.sizes.queries, d = q.sizes.head_dim, width = q.sizes.width;
  const Rows<const S> to_q = rows_of(p.to_q), to_kv = rows_of(p.to_kv);
  const S scale = S(1) / std::sqrt(static_cast<S>(d));
  Matrix<S> dq(r, d), query(r, d), folded(r, width), dfolded(r, width);
  Matrix<S> unused_bias = Matrix<S>::Zero(1, width);
  for (Index h = 0; h < q.sizes.heads; ++h) {
    const Rows<const S> to_k = to_kv.middle_rows(h * d, d);
    if (q.folded) {  // f = gain .* (query W_K)
      project_queries<S>(x, to_q, {}, h, d, rows_of(query), executor);
      product_nn(rows_of(std::as_const(query)), to_k, StoreTo<S>{rows_of(folded)}, executor);
      dfolded = dqueries.middleRows(h * r, r);
      add_column_sums<S>(rows_of(dfolded), rows_of(folded), &dp.hidden_gain, unused_bias, executor);
      scale_columns(rows_of(dfolded), p.hidden_gain, executor);
      add_product_tn<S>(rows_of(query), rows_of(dfolded), rows_of(dp.to_kv).middle_rows(h * d, d), executor);
      product_nt(rows_of(std::as_const(dfolded)), to_k, StoreTo<S>{rows_of(dq)}, executor);
    } else {
      dq = dqueries.middleRows(h * r, r);
    }
    dq *= scale;  // query = x Wq_h^T / sqrt(d)
    add_product_tn<S>(rows_of(dq), x, rows_of(dp.to_q).middle_rows(h * d, d), executor);
    product_nn(rows_of(std::as_const(dq)), to_q.middle_rows(h * d, d), AddTo<S>{dx}, executor);
  }
}

}  // namespace embedpool::head_math
