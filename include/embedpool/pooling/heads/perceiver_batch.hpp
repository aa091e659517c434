#pragma once
#include <array>

#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/attend_group_backward.hpp"
#include "embedpool/pooling/heads/geglu_rows.hpp"

/// PerceiverHead on a batch of texts. Texts are grouped by the order of products that suits their number of keys, which
/// depends on a text alone; within a group each product takes the rows of all texts.
namespace embedpool::head_math {

/// What of a PerceiverHead is not in its parameters.
struct PerceiverOptions {
  Index heads;
  bool layer_table;
  bool pooled;  ///< beside the attention stands the mean of the keys, else the latents
};

template <Real S>
struct PerceiverBatch {
  std::array<AttendGroup<S>, 4> groups;  // by ValueOrder
  std::vector<Index> texts;              // group by group
  std::vector<Index> first_row;          // rows of x of the texts, in that order; and where they end
  ScratchMatrix<S> x, e;                 // [R, D] before the feed-forward; [B, D]
  GegluRowsCache<S> feed_forward;
  AttendBackwardScratch<S> back;
  ScratchMatrix<S> dx;
};

template <Real S, class Params>
AttentionSizes perceiver_sizes(const Params& p, const PerceiverOptions& options) {
  return {p.latents.cols(), p.latents.rows(), options.heads, p.attend.to_q.rows() / options.heads};
}

/// LayerNorm of the latents, [r, D]: where the queries come from.
template <Real S, class Params>
Matrix<S> normed_latents(const Params& p, LayerNormCache<S>& cache) {
  return layer_norm(p.latents, p.attend.latent_gain, p.attend.latent_bias, cache);
}

/// Sorts the texts into groups, and gives each its rows of x: r, or 1 where all r would be equal.
template <Real S>
void group_texts(const AttentionSizes& sizes, bool pooled, std::span<const Keys<S>> texts, PerceiverBatch<S>& batch) {
  for (const ValueOrder order : every_value_order) {
    AttendGroup<S>& g = batch.groups[static_cast<std::size_t>(order)];
    g.order = order;
    g.texts.clear();
    g.first.assign(1, 0);
  }
  for (std::size_t b = 0; b < texts.size(); ++b) {
    AttendGroup<S>& g = batch.groups[static_cast<std::size_t>(value_order(sizes, texts[b].rows.rows))];
    g.texts.push_back(static_cast<Index>(b));
    g.first.push_back(g.first.back() + texts[b].rows.rows);
  }
  batch.texts.clear();
  batch.first_row.assign(1, 0);
  for (const AttendGroup<S>& g : batch.groups)
    for (const Index b : g.texts) {
      batch.texts.push_back(b);
      batch.first_row.push_back(batch.first_row.back() +
                                (pooled && g.order == ValueOrder::one_key ? 1 : sizes.queries));
    }
}

/// The keys of a group, with their rows of the layer table, standardised one after the other into g.norms.
template <Real S>
void gather_keys(std::span<const Keys<S>> texts, const Matrix<S>* table, AttendGroup<S>& g, Index width,
                 ExecutorRef executor) {
  const Rows<S> hat = g.norms.x_hat.resize(g.keys(), width), scale = g.norms.scale.resize(1, g.keys());
  executor.parallel_for(g.size(), [&](Index t, Index) {
    const Keys<S>& keys = texts[static_cast<std::size_t>(g.texts[static_cast<std::size_t>(t)])];
    for (Index n = 0; n < keys.rows.rows; ++n) {
      const Index place = g.first_key(t) + n;
      std::copy_n(keys.rows.row_data(n), width, hat.row_data(place));
      if (table) simd::axpy(S(1), rows_of(*table).row(keys.slot[static_cast<std::size_t>(n)]), hat.row_data(place));
      scale(0, place) = standardise_row(Rows<const S>(hat).row(place), hat.row_data(place));
    }
  });
}

template <Real S, class Params>
void perceiver_forward(const Params& p, const PerceiverOptions& options, const FixedQueries<S>& queries,
                       const PreparedGeglu<S>& feed_forward, std::span<const Keys<S>> texts, bool keep,
                       PerceiverBatch<S>& batch, Rows<S> e, ExecutorRef executor) {
  const Index width = queries.sizes.width;
  group_texts(queries.sizes, options.pooled, texts, batch);
  const Rows<S> x = batch.x.resize(batch.first_row.back(), width);
  executor.parallel_for(static_cast<Index>(texts.size()), [&](Index i, Index) {
    const std::size_t t = static_cast<std::size_t>(i);
    const Rows<S> own = x.middle_rows(batch.first_row[t], batch.first_row[t + 1] - batch.first_row[t]);
    const Rows<const S> keys = texts[static_cast<std::size_t>(batch.texts[t])].rows, latents = rows_of(p.latents);
    if (options.pooled) sum_rows(keys, S(1) / static_cast<S>(keys.rows), own.data);
    for (Index j = options.pooled ? 1 : 0; j < own.rows; ++j)
      std::copy_n(options.pooled ? own.data : latents.row_data(j), width, own.row_data(j));
  });
  std::size_t first_text = 0;
  for (AttendGroup<S>& g : batch.groups) {
    if (g.size() == 0) continue;
    gather_keys(texts, options.layer_table ? &p.table : nullptr, g, width, executor);
    const Index begin = batch.first_row[first_text];
    first_text += g.texts.size();
    attend_group(p.attend, queries, g, x.middle_rows(begin, batch.first_row[first_text] - begin), executor);
  }
  const Rows<S> sorted = batch.e.resize(static_cast<Index>(texts.size()), width);
  geglu_mean_rows(p.feed_forward, feed_forward, Rows<const S>(x), batch.first_row, keep, batch.feed_forward, sorted,
                  executor);
  for (Index i = 0; i < sorted.rows; ++i)
    std::copy_n(sorted.row_data(i), width, e.row_data(batch.texts[static_cast<std::size_t>(i)]));
}

template <Real S, class Params>
void perceiver_backward(const Params& p, const PerceiverOptions& options, const FixedQueries<S>& queries,
                        std::span<const Keys<S>> texts, PerceiverBatch<S>& batch, Rows<const S> de, Params& dp,
                        Matrix<S>& dqueries, std::span<const Rows<S>> dkeys, ExecutorRef executor) {
  if (texts.empty()) return;  // the batch holds what another one left
  const Index width = queries.sizes.width;
  const Rows<S> sorted = batch.e.rows(), dx = batch.dx.resize(batch.first_row.back(), width);
  for (Index i = 0; i < sorted.rows; ++i)
    std::copy_n(de.row_data(batch.texts[static_cast<std::size_t>(i)]), width, sorted.row_data(i));
  geglu_mean_rows_backward(p.feed_forward, batch.first_row, batch.feed_forward, Rows<const S>(sorted), dp.feed_forward,
                           dx, executor);
  std::size_t first_text = 0;
  for (const AttendGroup<S>& g : batch.groups) {
    if (g.size() == 0) continue;
    const std::span<const Index> first_row =
        std::span<const Index>(batch.first_row).subspan(first_text, g.texts.size() + 1);
    const Index first = static_cast<Index>(first_text);
    first_text += g.texts.size();
    if (g.order != ValueOrder::one_key && dqueries.size() == 0)
      dqueries = Matrix<S>::Zero(queries.rows.rows(), queries.rows.cols());
    attend_group_backward(p.attend, queries, g,
                          Rows<const S>(dx.middle_rows(first_row.front(), first_row.back() - first_row.front())),
                          dp.attend, dqueries, batch.back, executor);
    const Rows<const S> dh = batch.back.dx_hat.rows();
    executor.parallel_for(g.size(), [&](Index t, Index) {
      const std::size_t i = static_cast<std::size_t>(t);
      const Rows<S> out = dkeys[static_cast<std::size_t>(g.texts[i])];
      for (Index n = 0; n < out.rows; ++n) simd::axpy(S(1), dh.row(g.first_key(t) + n), out.row_data(n));
      if (!options.pooled) return;
      const Rows<S> own = dx.middle_rows(first_row[i], first_row[i + 1] - first_row[i]);
      sum_rows(Rows<const S>(own), S(1) / static_cast<S>(out.rows), sorted.row_data(first + t));  // de is used up
      for (Index n = 0; n < out.rows; ++n) simd::axpy(S(1), Rows<const S>(sorted).row(first + t), out.row_data(n));
    });
    for (std::size_t t = 0; t < g.texts.size(); ++t) {
      const Keys<S>& keys = texts[static_cast<std::size_t>(g.texts[t])];
      if (options.layer_table)
        for (Index n = 0; n < keys.rows.rows; ++n)
          simd::axpy(S(1), dh.row(g.first[t] + n), rows_of(dp.table).row_data(keys.slot[static_cast<std::size_t>(n)]));
      if (!options.pooled)
        for (Index j = 0; j < p.latents.rows(); ++j)
          simd::axpy(S(1), Rows<const S>(dx).row(first_row[t] + j), rows_of(dp.latents).row_data(j));
    }
  }
}

/// The gradient of the prepared queries, empty when no text had more than one key, on to the latents, their LayerNorm,
/// to_q and the K half of to_kv.
template <Real S, class Params>
void perceiver_chain(const Params& p, const FixedQueries<S>& queries, const Matrix<S>& dqueries, Params& dp,
                     ExecutorRef executor) {
  if (dqueries.size() == 0) return;
  LayerNormCache<S> cache;
  const Matrix<S> normed = normed_latents<S>(p, cache);
  Matrix<S> dnormed = Matrix<S>::Zero(normed.rows(), normed.cols());
  chain_queries(p.attend, queries, rows_of(normed), dqueries, dp.attend, rows_of(dnormed), executor);
  dp.latents += layer_norm_backward(cache, p.attend.latent_gain, dnormed, dp.attend.latent_gain, dp.attend.latent_bias);
}

}  // namespace embedpool::head_math
