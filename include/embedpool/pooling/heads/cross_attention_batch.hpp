#pragma once
#include <vector>

#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/fixed_queries.hpp"
#include "embedpool/pooling/heads/torch_attention.hpp"

/// CrossAttention's attention on a batch of texts. Behind the softmax everything is linear, so the mean over queries
/// moves to the weights; then one mixed row a head, and not every key, meets the value projection:
///
///   o_h = W_V,h (sum_n w_hn h'_n) + b_V,h,   w_hn = mean over queries i of softmax_n(q_ih . W_K,h h'_n)
namespace embedpool::head_math {

template <Real S>
struct CrossAttentionBatch {
  std::vector<Index> texts;      // those of several keys first, whose keys are scored
  std::vector<Index> first;      // keys of the texts that are scored, in that order
  ScratchMatrix<S> h;            // [N, D] their keys, with the layer table
  ScratchMatrix<S> k;            // [N, D], where keys are not folded
  ScratchMatrix<S> a, weights;   // [N, H r]; of each text [H, n]
  ScratchMatrix<S> pooled;       // [B H, D]
  ScratchMatrix<S> o, attended;  // [B, D]
};

/// Attention's output, the mean over queries: row i is that of text batch.texts[i].
///
/// Shapes  table [slots, D] or null -> [B, D] in batch.attended
template <Real S>
void cross_attention_forward(const TorchAttentionParams<S>& p, const FixedQueries<S>& q, const Matrix<S>* table,
                             std::span<const Keys<S>> texts, CrossAttentionBatch<S>& batch, ExecutorRef executor) {
  const Index width = q.sizes.width, heads = q.sizes.heads, r = q.sizes.queries, d = q.sizes.head_dim;
  batch.texts.clear();
  batch.first.assign(1, 0);
  for (const bool scored : {true, false})
    for (std::size_t b = 0; b < texts.size(); ++b) {
      if ((texts[b].rows.rows > 1) != scored) continue;
      batch.texts.push_back(static_cast<Index>(b));
      if (scored) batch.first.push_back(batch.first.back() + texts[b].rows.rows);
    }
  const Index scored = static_cast<Index>(batch.first.size()) - 1, count = static_cast<Index>(texts.size());
  const auto keys_of = [&](Index i) -> const Keys<S>& {
    return texts[static_cast<std::size_t>(batch.texts[static_cast<std::size_t>(i)])];
  };
  const auto copy_key = [&](const Keys<S>& keys, Index n, S* out) {
    std::copy_n(keys.rows.row_data(n), width, out);
    if (table) simd::axpy(S(1), rows_of(*table).row(keys.slot[static_cast<std::size_t>(n)]), out);
  };
  const Index total = batch.first.back();
  const Rows<S> h = batch.h.resize(total, width), a = batch.a.resize(total, heads * r),
                weights = batch.weights.resize(total, heads), pooled = batch.pooled.resize(count * heads, width);
  executor.parallel_for(scored, [&](Index i, Index) {
    for (Index n = 0; n < keys_of(i).rows.rows; ++n)
      copy_key(keys_of(i), n, h.row_data(batch.first[static_cast<std::size_t>(i)] + n));
  });
  if (total > 0) {
    score_keys(q, Rows<const S>(h), rows_of(p.in_weight).middle_rows(width, width), batch.k, a, executor);
    softmax_over_keys(a, batch.first, executor);
  }
  for_each_part(count, executor, [&](Index i, ExecutorRef inside) {
    const Rows<S> own = pooled.middle_rows(i * heads, heads);
    if (i >= scored) {  // one key gets every weight
      for (Index head = 0; head < heads; ++head) copy_key(keys_of(i), 0, own.row_data(head));
      return;
    }
    const Index begin = batch.first[static_cast<std::size_t>(i)], n = keys_of(i).rows.rows;
    const Rows<S> mean(weights.row_data(begin), heads, n);
    for (Index head = 0; head < heads; ++head)
      for (Index k = 0; k < n; ++k)
        mean(head, k) = row_sum(Rows<const S>(a).middle_cols(head * r, r).row(begin + k)) / static_cast<S>(r);
    product_nn(Rows<const S>(mean), Rows<const S>(h).middle_rows(begin, n), StoreTo<S>{own}, inside);
  });
  const Rows<S> o = batch.o.resize(count, width), attended = batch.attended.resize(count, width);
  for_each_part(heads, executor, [&](Index head, ExecutorRef inside) {
    product_nt(Rows<const S>(rows_of_head(pooled, head, heads)),
               rows_of(p.in_weight).middle_rows(2 * width + head * d, d),
               StoreBias<S>{o.middle_cols(head * d, d), p.in_bias.data() + 2 * width + head * d}, inside);
  });
  product_nt(Rows<const S>(o), rows_of(p.out_weight), StoreBias<S>{attended, p.out_bias.data()}, executor);
}

}  // namespace embedpool::head_math
