#pragma once
#include <vector>

#include "embedpool/pooling/heads/fixed_queries.hpp"
#include "embedpool/pooling/heads/perceiver_blocks.hpp"

/// Cross-attention of fixed queries to the keys of many texts, in the order of products that is least work.
namespace embedpool::head_math {

/// Texts of a batch whose values go the same way, and what their forward pass leaves for backward.
///
/// Shapes  N keys of T texts; a and a transposed hold r H weights a key; r rows of output a text, or 1 (one_key)
template <Real S>
struct AttendGroup {
  ValueOrder order = ValueOrder::one_key;
  std::vector<Index> texts;     // which texts of the batch
  std::vector<Index> first{0};  // keys of text t of the group are rows [first[t], first[t + 1])
  RowNorms<S> norms;            // LayerNorm of the keys: x_hat [N, D]
  ScratchMatrix<S> y;           // [N, D] with gain and bias, where the order needs it
  ScratchMatrix<S> k, v;        // [N, H d]
  ScratchMatrix<S> a;           // [N, H r] weights
  ScratchMatrix<S> turned;      // of each text [r, n H] (project_first), else [r H, n], row i H + h
  ScratchMatrix<S> mixed;       // project_first: W_O,h W_V,h y [N H, D]; else [T r, H d] before W_O; one_key: [T, D]
  ScratchMatrix<S> pooled_hat;  // pool_first: [T r H, D], A x_hat
  ScratchMatrix<S> pooled;      // and A y

  Index size() const noexcept { return static_cast<Index>(texts.size()); }
  Index keys() const noexcept { return first.back(); }
  Index keys(Index t) const noexcept { return first_key(t + 1) - first_key(t); }
  Index first_key(Index t) const noexcept { return first[static_cast<std::size_t>(t)]; }
  bool needs_y(bool folded) const noexcept { return order != ValueOrder::pool_first || !folded; }
  Rows<S> turned_of(Index t, Index rows) const noexcept {  // `rows` of it for each text
    const Index values = turned.rows().cols;
    return {const_cast<S*>(turned.rows().row_data(first_key(t))), rows, keys(t) * values / rows};
  }
};

/// The weights of each text the other way round: [n H, r] -> [r, n H] for project_first, else [n, H r] -> [r H, n] with
/// row i H + h, so that the heads of a query lie together.
template <Real S>
void turn_weights(const AttentionSizes& sizes, AttendGroup<S>& g, Index t) {
  const Index n = g.keys(t), r = sizes.queries, heads = sizes.heads;
  const Rows<const S> a = Rows<const S>(g.a.rows()).middle_rows(g.first_key(t), n);
  S* out = g.turned.rows().row_data(g.first_key(t));
  if (g.order == ValueOrder::project_first) return transpose_any(Rows<const S>(a.data, n * heads, r), out, n * heads);
  for (Index h = 0; h < heads; ++h) transpose_any(a.middle_cols(h * r, r), out + h * n, heads * n);
}

/// x += the attention's output: r rows a text, or for one_key the rows that x has, all of them getting the same.
///
/// Shapes  x [T r, D], or [T rows, D] for one_key. Keys are standardised in g.norms already
template <Real S>
void attend_group(const CrossAttendParams<S>& p, const FixedQueries<S>& q, AttendGroup<S>& g, Rows<S> x,
                  ExecutorRef executor) {
  const Index width = q.sizes.width, r = q.sizes.queries, heads = q.sizes.heads, d = q.sizes.head_dim;
  const Index inner = q.sizes.inner(), n = g.keys(), texts = g.size();
  const Rows<const S> hat = g.norms.x_hat.rows();
  const Rows<const S> to_k = rows_of(p.to_kv).middle_rows(0, inner), to_v = rows_of(p.to_kv).middle_rows(inner, inner);
  const Rows<const S> to_out = rows_of(p.to_out);
  Rows<const S> y;
  if (g.needs_y(q.folded)) {
    g.norms.apply(p.hidden_gain, p.hidden_bias, g.y.resize(n, width), executor);
    y = g.y.rows();
  }
  if (g.order != ValueOrder::one_key) {
    const Rows<S> a = g.a.resize(n, heads * r);
    score_keys(q, q.folded ? hat : y, to_k, g.k, a, executor);
    softmax_over_keys(a, g.first, executor);
    g.turned.resize(n, heads * r);
  }
  if (g.order != ValueOrder::pool_first) product_nt(y, to_v, StoreTo<S>{g.v.resize(n, inner)}, executor);
  const Rows<const S> v = g.v.rows();

  switch (g.order) {
    case ValueOrder::one_key: {
      const Rows<S> out = g.mixed.resize(texts, width);
      product_nt(v, to_out, StoreTo<S>{out}, executor);
      const Index rows = x.rows / texts;
      for_each_row(x.rows, executor, [&](Index i) {
        simd::axpy(S(1), Rows<const S>(out).row(i / rows), x.row_data(i));
      });
      return;
    }
    case ValueOrder::project_first: {
      const Rows<S> projected = g.mixed.resize(n * heads, width);
      for_each_part(heads, executor, [&](Index h, ExecutorRef inside) {
        product_nt(v.middle_cols(h * d, d), to_out.middle_cols(h * d, d), StoreTo<S>{rows_of_head(projected, h, heads)},
                   inside);
      });
      for_each_part(texts, executor, [&](Index t, ExecutorRef inside) {
        turn_weights(q.sizes, g, t);
        const Rows<const S> values = projected.middle_rows(g.first_key(t) * heads, g.keys(t) * heads);
        product_nn(Rows<const S>(g.turned_of(t, r)), values, AddTo<S>{x.middle_rows(t * r, r)}, inside);
      });
      return;
    }
    case ValueOrder::mix_between: {
      const Rows<S> o = g.mixed.resize(texts * r, inner);
      for_each_part(texts, executor, [&](Index t, ExecutorRef inside) {
        turn_weights(q.sizes, g, t);
        const Rows<const S> weights = g.turned_of(t, r * heads);
        const Rows<const S> values = v.middle_rows(g.first_key(t), g.keys(t));
        for (Index h = 0; h < heads; ++h)
          product_nn(rows_of_head(weights, h, heads), values.middle_cols(h * d, d),
                     StoreTo<S>{o.middle_rows(t * r, r).middle_cols(h * d, d)}, inside);
      });
      break;
    }
    case ValueOrder::pool_first: {
      const Index rows = r * heads;
      const Rows<S> pooled_hat = g.pooled_hat.resize(texts * rows, width),
                    pooled = g.pooled.resize(texts * rows, width);
      for_each_part(texts, executor, [&](Index t, ExecutorRef inside) {
        turn_weights(q.sizes, g, t);
        product_nn(Rows<const S>(g.turned_of(t, rows)), hat.middle_rows(g.first_key(t), g.keys(t)),
                   StoreTo<S>{pooled_hat.middle_rows(t * rows, rows)}, inside);
      });
      for_each_row(pooled.rows, executor, [&](Index i) {  // weights sum to 1: the bias comes through unchanged
        scale_and_shift(Rows<const S>(pooled_hat).row(i), p.hidden_gain, p.hidden_bias, pooled.row_data(i));
      });
      const Rows<S> o = g.mixed.resize(texts * r, inner);
      for_each_part(heads, executor, [&](Index h, ExecutorRef inside) {
        product_nt(Rows<const S>(rows_of_head(pooled, h, heads)), to_v.middle_rows(h * d, d),
                   StoreTo<S>{o.middle_cols(h * d, d)}, inside);
      });
    }
  }
  product_nt(Rows<const S>(g.mixed.rows()), to_out, AddTo<S>{x}, executor);
}

}  // namespace embedpool::head_math
