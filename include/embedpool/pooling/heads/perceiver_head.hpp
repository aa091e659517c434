#pragma once
#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/perceiver_blocks.hpp"
#include "embedpool/pooling/heads/prepared_attention.hpp"
#include "embedpool/pooling/heads/prepared_head.hpp"

namespace embedpool {

/// What stands beside the attention output of a perceiver head.
enum class Residual {
  latents,  ///< the latents, as published: step 0 is a random projection of the keys
  pooled    ///< the mean of the text's keys, output projections start at 0: step 0 *is* that pooling
};

/// The trainable head of "Pooling And Attention", as its released code has it: r latents ask, the keys answer.
///
///   h'_k = h_k + table[slot_k]                                       (with layer_table)
///   x_i  = residual_i + sum over heads of softmax(q_i K^T / sqrt(d)) V Wo^T,   q = LN(latents) Wq^T, [K V] = LN(h') Wkv^T
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
  struct Cache {
    head_math::LayerNormCache<S> hidden_norm, latent_norm;
    head_math::CrossAttendCache<S> attend;
    head_math::GegluCache<S> feed_forward;
  };

  template <Real S>
  struct Prepared {
    Matrix<S> queries;  // [r, H d] LN(latents) Wq^T / sqrt(d)
  };

  template <Real S>
  Params<S> init(Index width, Index slots, std::uint64_t seed = 0) const {
    std::mt19937_64 generator(seed);
    Params<S> p;
    p.latents = head_math::normal_init<S>(latents, width, 1.0, generator);
    const double table_deviation = residual == Residual::latents ? 1.0 : 0.02;
    if (layer_table) p.table = head_math::normal_init<S>(slots, width, table_deviation, generator);
    p.attend = head_math::init_cross_attend<S>(width, heads * head_dim, generator);
    p.feed_forward = head_math::init_geglu<S>(width, feed_forward > 0 ? feed_forward : 4 * width, generator);
    if (residual == Residual::pooled) {
      p.attend.to_out.setZero();
      p.feed_forward.w2.setZero();
      p.feed_forward.b2.setZero();
    }
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
    if (layer_table) {
      require_equal("PerceiverHead", "width of the layer table", p.table.cols(), width);
      require_in("PerceiverHead", "kinds of keys", slots, 1, p.table.rows());
    }
    head_math::check_cross_attend("PerceiverHead", p.attend, width, heads);
    head_math::check_geglu("PerceiverHead", p.feed_forward, width);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const Matrix<S> h = tabled(p, keys);  // [n, D]
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
    if (layer_table)
      for (Index k = 0; k < dh.rows(); ++k) dp.table.row(keys.slot[static_cast<std::size_t>(k)]) += dh.row(k);
    as_eigen(dkeys) += dh;
    if (residual == Residual::latents) {
      dp.latents += dx;
    } else {
      const RowVector<S> dpooled = dx.colwise().sum() / static_cast<S>(dh.rows());
      as_eigen(dkeys).rowwise() += dpooled;
    }
  }

  /// The queries depend on no text.
  template <Real S>
  Prepared<S> prepare(const Params<S>& p) const {
    head_math::LayerNormCache<S> unused;
    const Matrix<S> normed = head_math::layer_norm(p.latents, p.attend.latent_gain, p.attend.latent_bias, unused);
    const S scale = std::sqrt(static_cast<S>(p.attend.to_q.rows() / heads));
    return {normed * p.attend.to_q.transpose() / scale};
  }

  /// One key gets every weight whatever asks: no scores, and with the pooled residual all rows of x are equal.
  /// Several keys: values go through Wo before or after they are mixed, whichever is less work.
  template <Real S>
  RowVector<S> forward_prepared(const Params<S>& p, const Prepared<S>& prepared, const Keys<S>& keys) const {
    const Index inner = p.attend.to_q.rows(), n = keys.rows.rows;
    head_math::LayerNormCache<S> unused;
    const Matrix<S> normed = head_math::layer_norm(tabled(p, keys), p.attend.hidden_gain, p.attend.hidden_bias, unused);
    const Matrix<S> v = normed * p.attend.to_kv.bottomRows(inner).transpose();  // [n, H d]
    const RowVector<S> pooled = as_eigen(keys.rows).colwise().mean();
    Matrix<S> x;  // [r, D], or [1, D] for r equal rows
    if (n == 1) {
      const RowVector<S> only = v * p.attend.to_out.transpose();
      x = residual == Residual::latents ? Matrix<S>(p.latents.rowwise() + only) : Matrix<S>(pooled + only);
    } else {
      const Matrix<S> k = normed * p.attend.to_kv.topRows(inner).transpose();  // [n, H d]
      const Matrix<S> a = head_math::attention_weights(prepared.queries, k, heads);
      if (head_math::project_values_first(p.latents.rows(), n, p.latents.cols(), inner, heads))
        x = a * head_math::project_values(v, p.attend.to_out, heads);
      else
        x = head_math::mix_values(a, v, heads) * p.attend.to_out.transpose();
      if (residual == Residual::latents)
        x += p.latents;
      else
        x.rowwise() += pooled;
    }
    head_math::GegluCache<S> scratch;
    return head_math::geglu_mean(p.feed_forward, x, scratch);
  }

 private:
  /// The keys, with the rows of the layer table added to them.
  template <Real S>
  Matrix<S> tabled(const Params<S>& p, const Keys<S>& keys) const {
    Matrix<S> h = as_eigen(keys.rows);
    if (layer_table)
      for (Index k = 0; k < h.rows(); ++k) h.row(k) += p.table.row(keys.slot[static_cast<std::size_t>(k)]);
    return h;
  }
};
static_assert(PreparedHead<PerceiverHead, float> && PreparedHead<PerceiverHead, double>);

}  // namespace embedpool
