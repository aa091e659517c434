#pragma once
#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/batched_head.hpp"
#include "embedpool/pooling/heads/layer_table.hpp"
#include "embedpool/pooling/heads/perceiver_batch.hpp"

namespace embedpool {

/// What stands beside the attention output of a perceiver head.
enum class Residual {
  latents,  ///< the latents, as published: step 0 is a random projection of the keys
  pooled    ///< the mean of the text's keys, output projections start at 0: step 0 *is* that pooling
};

/// The trainable head of "Pooling And Attention", as its released code has it: r latents ask, the keys answer.
///
///   h'_k = h_k + table[slot_k]                                       (with layer_table)
///   x_i  = residual_i + sum over heads of softmax(q_i K^T / sqrt(d)) V Wo^T
///          with q = LN(latents) Wq^T and [K V] = LN(h') Wkv^T
///   e    = 1/r sum_i [ x_i + GEGLU(LN(x_i)) ]                        (no L2: that is a step of its own)
///
/// Shapes  keys [n, D] -> e [D]; names and shapes of the parameters are those of the published checkpoints
/// Note    with one key every attention weight is 1 and to_q, the K half of to_kv and norm_context have gradient 0
/// Errors  check throws ShapeError for parameters that do not fit; the table may have more rows than kinds of keys
/// Source  arXiv 2409.02727 and its code; `published()` has its sizes (768 latents, 32 heads of 2048)
struct PerceiverHead {
  Index latents = 8;
  Index heads = 8;
  Index head_dim = 64;
  Index feed_forward = 0;  ///< inner width of the GEGLU; 0: 4 D as published
  bool layer_table = false;
  Residual residual = Residual::pooled;

  static PerceiverHead published(bool layer_table) { return {768, 32, 2048, 0, layer_table, Residual::latents}; }

  template <Real S>
  struct Params {
    Matrix<S> latents;  // [r, D]
    Matrix<S> table;    // [slots, D], empty without layer_table
    head_math::CrossAttendParams<S> attend;
    head_math::GegluParams<S> feed_forward;
  };
  template <Real S>
  using Cache = head_math::PerceiverCache<S>;

  /// The queries projected, and the feed-forward's weights packed.
  template <Real S>
  struct Prepared {
    head_math::FixedQueries<S> queries;
    head_math::PreparedGeglu<S> feed_forward;
  };
  template <Real S>
  using Batch = head_math::PerceiverBatch<S>;
  template <Real S>
  using PreparedGradient = Matrix<S>;  // of queries.rows; empty: nothing yet

  template <Real S>
  Params<S> init(Index width, Index slots, std::uint64_t seed = 0) const {
    std::mt19937_64 generator(seed);
    Params<S> p;
    p.latents = head_math::normal_init<S>(latents, width, 1.0, generator);
    const double table_deviation = residual == Residual::latents ? 1.0 : 0.02;
    if (layer_table) p.table = head_math::normal_init<S>(slots, width, table_deviation, generator);
    p.attend = head_math::init_cross_attend<S>(width, heads * head_dim, generator);
    p.feed_forward = head_math::init_geglu<S>(width, feed_forward > 0 ? feed_forward : 4 * width, generator);
    if (residual == Residual::pooled) head_math::zero_outputs(p.attend, p.feed_forward);
    return p;
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("latents", p.latents);
    if (p.table.size() > 0) f("pos_emb.weight", p.table);
    head_math::for_each_cross_attend(p.attend, f);
    head_math::for_each_geglu(p.feed_forward, f);
  }
  Index output_width(Index width) const { return width; }

  template <Real S>
  void check(const Params<S>& p, Index width, Index slots) const {
    require_equal("PerceiverHead", "width of the latents", p.latents.cols(), width);
    require_in("PerceiverHead", "latents", p.latents.rows(), 1, Index(1) << 24);
    if (layer_table) head_math::check_layer_table("PerceiverHead", p.table, width, slots);
    head_math::check_cross_attend("PerceiverHead", p.attend, width, heads);
    head_math::check_geglu("PerceiverHead", p.feed_forward, width);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const Matrix<S> h = head_math::add_layer_table(keys, layer_table ? &p.table : nullptr);  // [n, D]
    c.attend.yn = head_math::layer_norm(h, p.attend.hidden_gain, p.attend.hidden_bias, c.hidden_norm);
    c.attend.xn = head_math::layer_norm(p.latents, p.attend.latent_gain, p.attend.latent_bias, c.latent_norm);
    Matrix<S> x = head_math::cross_attend(p.attend, heads, c.attend);  // [r, D]
    if (residual == Residual::latents)
      x += p.latents;
    else
      x.rowwise() += as_eigen(keys.rows).colwise().mean();
    return head_math::geglu_mean(p.feed_forward, x, c.feed_forward);
  }

  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const Matrix<S> dx = head_math::geglu_mean_backward(p.feed_forward, c.feed_forward, de, dp.feed_forward);  // [r, D]
    Matrix<S> dlatents_normed, dh_normed;
    head_math::cross_attend_backward(p.attend, heads, c.attend, dx, dp.attend, dlatents_normed, dh_normed);
    dp.latents += head_math::layer_norm_backward(c.latent_norm, p.attend.latent_gain, dlatents_normed,
                                                 dp.attend.latent_gain, dp.attend.latent_bias);
    const Matrix<S> dh = head_math::layer_norm_backward(c.hidden_norm, p.attend.hidden_gain, dh_normed,
                                                        dp.attend.hidden_gain, dp.attend.hidden_bias);  // [n, D]
    if (layer_table) head_math::layer_table_backward(keys, dh, dp.table);
    as_eigen(dkeys) += dh;
    if (residual == Residual::latents) {
      dp.latents += dx;
    } else {
      const RowVector<S> dpooled = dx.colwise().sum() / static_cast<S>(dh.rows());
      as_eigen(dkeys).rowwise() += dpooled;
    }
  }

  /// The queries depend on no text, and with them neither does their product with the key projection.
  template <Real S>
  Prepared<S> prepare(const Params<S>& p, ExecutorRef executor) const {
    head_math::LayerNormCache<S> unused;
    const Matrix<S> normed = head_math::normed_latents<S>(p, unused);
    const Index inner = p.attend.to_q.rows();
    return {
        head_math::prepare_queries(head_math::perceiver_sizes<S>(p, options()), rows_of(normed), rows_of(p.attend.to_q),
                                   rows_of(p.attend.to_kv).middle_rows(0, inner), p.attend.hidden_gain, executor),
        head_math::prepare_geglu(p.feed_forward, executor)};
  }

  /// Texts are taken some at a time, so that what lies between the products stays below about 130 MB of floats.
  template <Real S>
  void forward_all(const Params<S>& p, const Prepared<S>& prepared, std::span<const Keys<S>> texts, Batch<S>& batch,
                   Rows<S> e, ExecutorRef executor) const {
    const head_math::AttentionSizes& sizes = prepared.queries.sizes;
    for (std::size_t begin = 0, end; begin < texts.size(); begin = end) {
      Index values = 0;
      for (end = begin; end < texts.size() && (end == begin || values < (Index(1) << 25)); ++end)
        values += head_math::values_between(sizes, texts[end].rows.rows);
      head_math::perceiver_forward(p, options(), prepared.queries, prepared.feed_forward,
                                   texts.subspan(begin, end - begin), false, batch,
                                   e.middle_rows(static_cast<Index>(begin), static_cast<Index>(end - begin)), executor);
    }
  }
  template <Real S>
  void forward_all_kept(const Params<S>& p, const Prepared<S>& prepared, std::span<const Keys<S>> texts,
                        Batch<S>& batch, Rows<S> e, ExecutorRef executor) const {
    head_math::perceiver_forward(p, options(), prepared.queries, prepared.feed_forward, texts, true, batch, e,
                                 executor);
  }
  template <Real S>
  void backward_all(const Params<S>& p, const Prepared<S>& prepared, std::span<const Keys<S>> texts, Batch<S>& batch,
                    Rows<const S> de, Params<S>& dp, PreparedGradient<S>& dprepared, std::span<const Rows<S>> dkeys,
                    ExecutorRef executor) const {
    head_math::perceiver_backward(p, options(), prepared.queries, texts, batch, de, dp, dprepared, dkeys, executor);
  }
  template <Real S>
  void chain(const Params<S>& p, const Prepared<S>& prepared, const PreparedGradient<S>& dprepared, Params<S>& dp,
             ExecutorRef executor) const {
    head_math::perceiver_chain(p, prepared.queries, dprepared, dp, executor);
  }

 private:
  head_math::PerceiverOptions options() const { return {heads, layer_table, residual == Residual::pooled}; }
};
static_assert(BatchTrainedHead<PerceiverHead, float> && BatchTrainedHead<PerceiverHead, double>);

}  // namespace embedpool
