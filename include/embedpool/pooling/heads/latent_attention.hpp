#pragma once
#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/batched_head.hpp"
#include "embedpool/pooling/heads/latent_attention_batch.hpp"

namespace embedpool {

/// Latent attention of NV-Embed: here the token states ask and the latents answer, the reverse of PerceiverHead.
///
///   x_k = h_k + sum over heads of softmax(q_k K^T / sqrt(d)) V Wo^T,   q = LN(h) Wq^T, [K V] = LN(latents) Wkv^T
///   e   = 1/n sum_k [ x_k + GEGLU(LN(x_k)) ]       over the rows given: exclude the prompt with
///   PromptExcluded<AllTokens>
///
/// Every row meets the latents alone, so rows that are left out of the mean change nothing.
/// Shapes  keys [n, D] -> e [D]; names and shapes of the parameters are those of the published checkpoints
/// Errors  check throws ShapeError for parameters that do not fit
/// Source  arXiv 2405.17428; `published()` has its sizes (512 latents, 8 heads of 4096)
struct LatentAttention {
  Index latents = 16;
  Index heads = 8;
  Index head_dim = 64;
  Index feed_forward = 0;  ///< inner width of the GEGLU; 0: 4 D as published
  bool zero_start = true;  ///< output projections start at 0: step 0 is the mean of the rows

  static LatentAttention published() { return {512, 8, 4096, 0, false}; }

  template <Real S>
  struct Params {
    Matrix<S> latents;  // [r, D]
    head_math::CrossAttendParams<S> attend;
    head_math::GegluParams<S> feed_forward;
  };
  template <Real S>
  using Cache = head_math::PerceiverCache<S>;

  template <Real S>
  using Prepared = head_math::PreparedLatents<S>;
  template <Real S>
  using Batch = head_math::LatentAttentionBatch<S>;

  template <Real S>
  Params<S> init(Index width, Index /*slots*/, std::uint64_t seed = 0) const {
    std::mt19937_64 generator(seed);
    Params<S> p;
    p.latents = head_math::normal_init<S>(latents, width, 1.0, generator);
    p.attend = head_math::init_cross_attend<S>(width, heads * head_dim, generator);
    p.feed_forward = head_math::init_geglu<S>(width, feed_forward > 0 ? feed_forward : 4 * width, generator);
    if (zero_start) head_math::zero_outputs(p.attend, p.feed_forward);
    return p;
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("latents", p.latents);
    head_math::for_each_cross_attend(p.attend, f);
    head_math::for_each_geglu(p.feed_forward, f);
  }
  Index output_width(Index width) const { return width; }

  template <Real S>
  void check(const Params<S>& p, Index width, Index /*slots*/) const {
    require_equal("LatentAttention head", "width of the latents", p.latents.cols(), width);
    require_in("LatentAttention head", "latents", p.latents.rows(), 1, Index(1) << 24);
    head_math::check_cross_attend("LatentAttention head", p.attend, width, heads);
    head_math::check_geglu("LatentAttention head", p.feed_forward, width);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const auto h = as_eigen(keys.rows);  // [n, D]
    c.attend.xn = head_math::layer_norm(h, p.attend.hidden_gain, p.attend.hidden_bias, c.hidden_norm);
    c.attend.yn = head_math::layer_norm(p.latents, p.attend.latent_gain, p.attend.latent_bias, c.latent_norm);
    const Matrix<S> x = head_math::cross_attend(p.attend, heads, c.attend) + h;
    return head_math::geglu_mean(p.feed_forward, x, c.feed_forward);
  }

  template <Real S>
  void backward(const Params<S>& p, const Keys<S>&, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const Matrix<S> dx = head_math::geglu_mean_backward(p.feed_forward, c.feed_forward, de, dp.feed_forward);  // [n, D]
    Matrix<S> dh_normed, dlatents_normed;
    head_math::cross_attend_backward(p.attend, heads, c.attend, dx, dp.attend, dh_normed, dlatents_normed);
    dp.latents += head_math::layer_norm_backward(c.latent_norm, p.attend.latent_gain, dlatents_normed,
                                                 dp.attend.latent_gain, dp.attend.latent_bias);
    as_eigen(dkeys) += dx + head_math::layer_norm_backward(c.hidden_norm, p.attend.hidden_gain, dh_normed,
                                                           dp.attend.hidden_gain, dp.attend.hidden_bias);
  }

  /// The latents' keys and values depend on no text.
  template <Real S>
  Prepared<S> prepare(const Params<S>& p, ExecutorRef executor) const {
    head_math::LayerNormCache<S> unused;
    const Matrix<S> normed = head_math::layer_norm(p.latents, p.attend.latent_gain, p.attend.latent_bias, unused);
    return head_math::prepare_latents(p.attend, p.feed_forward, rows_of(normed), heads, executor);
  }
  /// Texts are taken some at a time: about 2,000 rows or one text, so that what lies between the products stays small.
  template <Real S>
  void forward_all(const Params<S>& p, const Prepared<S>& prepared, std::span<const Keys<S>> texts, Batch<S>& batch,
                   Rows<S> e, ExecutorRef executor) const {
    for (std::size_t begin = 0, end; begin < texts.size(); begin = end) {
      Index rows = 0;
      for (end = begin; end < texts.size() && (end == begin || rows + texts[end].rows.rows <= 2048); ++end)
        rows += texts[end].rows.rows;
      head_math::latent_attention_forward(p.attend, p.feed_forward, prepared, texts.subspan(begin, end - begin), batch,
                                          e.middle_rows(static_cast<Index>(begin), static_cast<Index>(end - begin)),
                                          executor);
    }
  }
};
static_assert(BatchedHead<LatentAttention, float> && BatchedHead<LatentAttention, double>);

}  // namespace embedpool
