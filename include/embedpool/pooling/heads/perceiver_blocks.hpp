#pragma once
#include "embedpool/kernels/activation.hpp"
#include "embedpool/pooling/heads/multi_head_attention.hpp"

/// The two blocks that the paper's released head and NV-Embed's are made of, with the published checkpoints' names.
namespace embedpool::head_math {

/// Cross-attention without biases: out = concat_h softmax(Q_h K_h^T / sqrt(d)) V_h Wo^T, Q = xn Wq^T, [K V] = yn Wkv^T,
/// where xn and yn are LayerNorms of the rows that ask and of those that answer.
template <Real S>
struct CrossAttendParams {
  Matrix<S> hidden_gain, hidden_bias;  // [1, D] LayerNorm of the hidden states ("norm")
  Matrix<S> latent_gain, latent_bias;  // [1, D] LayerNorm of the latents ("norm_context")
  Matrix<S> to_q;                      // [H d, D]
  Matrix<S> to_kv;                     // [2 H d, D]: rows of K, then of V
  Matrix<S> to_out;                    // [D, H d]
};

template <Real S>
CrossAttendParams<S> init_cross_attend(Index width, Index inner, std::mt19937_64& generator) {
  return {Matrix<S>::Ones(1, width),
          Matrix<S>::Zero(1, width),
          Matrix<S>::Ones(1, width),
          Matrix<S>::Zero(1, width),
          linear_init<S>(inner, width, width, generator),
          linear_init<S>(2 * inner, width, width, generator),
          linear_init<S>(width, inner, inner, generator)};
}

template <class P, class F>
void for_each_cross_attend(P& p, F& f) {
  f("cross_attend_blocks.0.norm.weight", p.hidden_gain);
  f("cross_attend_blocks.0.norm.bias", p.hidden_bias);
  f("cross_attend_blocks.0.norm_context.weight", p.latent_gain);
  f("cross_attend_blocks.0.norm_context.bias", p.latent_bias);
  f("cross_attend_blocks.0.fn.to_q.weight", p.to_q);
  f("cross_attend_blocks.0.fn.to_kv.weight", p.to_kv);
  f("cross_attend_blocks.0.fn.to_out.weight", p.to_out);
}

template <Real S>
void check_cross_attend(std::string_view where, const CrossAttendParams<S>& p, Index width, Index heads) {
  const Index inner = p.to_q.rows();
  for (const Matrix<S>* vector : {&p.hidden_gain, &p.hidden_bias, &p.latent_gain, &p.latent_bias})
    require_vector(where, "size of a LayerNorm", *vector, width);
  require_in(where, "heads", heads, 1, inner);
  require_equal(where, "rows of to_q modulo heads", inner % heads, 0);
  require_equal(where, "columns of to_q", p.to_q.cols(), width);
  require_equal(where, "rows of to_kv", p.to_kv.rows(), 2 * inner);
  require_equal(where, "columns of to_kv", p.to_kv.cols(), width);
  require_equal(where, "rows of to_out", p.to_out.rows(), width);
  require_equal(where, "columns of to_out", p.to_out.cols(), inner);
}

template <Real S>
struct CrossAttendCache {
  Matrix<S> xn, yn;    // normed rows that ask [r, D] and answer [n, D]
  Matrix<S> q, k, v;   // [r, H d], [n, H d], [n, H d]
  Matrix<S> o;         // [r, H d]
  AttentionCache<S> attention;
};

/// xn and yn of the cache are set; returns [r, D].
template <Real S>
Matrix<S> cross_attend(const CrossAttendParams<S>& p, Index heads, CrossAttendCache<S>& c) {
  const Index inner = p.to_q.rows();
  c.q = plain_nt(c.xn, p.to_q);
  c.k = plain_nt(c.yn, p.to_kv.topRows(inner));
  c.v = plain_nt(c.yn, p.to_kv.bottomRows(inner));
  c.o = attention(c.q, c.k, c.v, heads, c.attention);
  return plain_nt(c.o, p.to_out);
}

/// Adds to dp; gives dxn [r, D] and dyn [n, D].
template <Real S>
void cross_attend_backward(const CrossAttendParams<S>& p, Index heads, const CrossAttendCache<S>& c,
                           const Matrix<S>& dout, CrossAttendParams<S>& dp, Matrix<S>& dxn, Matrix<S>& dyn) {
  const Index inner = p.to_q.rows();
  dp.to_out += plain_tn(dout, c.o);
  const Matrix<S> d_o = plain_nn(dout, p.to_out);
  Matrix<S> dq, dk, dv;
  attention_backward(c.q, c.k, c.v, heads, c.attention, d_o, dq, dk, dv);
  dp.to_q += plain_tn(dq, c.xn);
  dp.to_kv.topRows(inner) += plain_tn(dk, c.yn);
  dp.to_kv.bottomRows(inner) += plain_tn(dv, c.yn);
  dxn = plain_nn(dq, p.to_q);
  dyn = plain_nn(dk, p.to_kv.topRows(inner)) + plain_nn(dv, p.to_kv.bottomRows(inner));
}

/// The feed-forward block with a gated activation, and the mean over rows behind it:
///
///   e = 1/r sum_i [ x_i + W2 u_i + b2 ],   u = value .* GELU(gate),   [value gate] = LayerNorm(x) W0^T + b0
///
/// The mean goes before W2, which is exact and leaves one row for it.
template <Real S>
struct GegluParams {
  Matrix<S> gain, bias;  // [1, D]
  Matrix<S> w0, b0;      // [2 F, D], [1, 2 F]: rows of the value, then of the gate; F = 4 D as published
  Matrix<S> w2, b2;      // [D, F], [1, D]
};

template <Real S>
GegluParams<S> init_geglu(Index width, Index inner, std::mt19937_64& generator) {
  return {Matrix<S>::Ones(1, width),
          Matrix<S>::Zero(1, width),
          linear_init<S>(2 * inner, width, width, generator),
          linear_init<S>(1, 2 * inner, width, generator),
          linear_init<S>(width, inner, inner, generator),
          linear_init<S>(1, width, inner, generator)};
}

template <class P, class F>
void for_each_geglu(P& p, F& f) {
  f("cross_attend_blocks.1.norm.weight", p.gain);
  f("cross_attend_blocks.1.norm.bias", p.bias);
  f("cross_attend_blocks.1.fn.net.0.weight", p.w0);
  f("cross_attend_blocks.1.fn.net.0.bias", p.b0);
  f("cross_attend_blocks.1.fn.net.2.weight", p.w2);
  f("cross_attend_blocks.1.fn.net.2.bias", p.b2);
}

template <Real S>
void check_geglu(std::string_view where, const GegluParams<S>& p, Index width) {
  const Index inner = p.w2.cols();
  require_in(where, "columns of net.2", inner, 1, Index(1) << 40);
  require_vector(where, "size of the feed-forward's LayerNorm gain", p.gain, width);
  require_vector(where, "size of the feed-forward's LayerNorm bias", p.bias, width);
  require_equal(where, "rows of net.0", p.w0.rows(), 2 * inner);
  require_equal(where, "columns of net.0", p.w0.cols(), width);
  require_vector(where, "bias of net.0", p.b0, 2 * inner);
  require_equal(where, "rows of net.2", p.w2.rows(), width);
  require_vector(where, "bias of net.2", p.b2, width);
}

template <Real S>
struct GegluCache {
  LayerNormCache<S> norm;
  Matrix<S> y;       // [r, D] normed
  Matrix<S> pre;     // [r, 2 F]
  Matrix<S> u_mean;  // [1, F]
};

template <Real S>
RowVector<S> geglu_mean(const GegluParams<S>& p, const Matrix<S>& x, GegluCache<S>& c) {
  const Index inner = p.w2.cols();
  c.y = layer_norm(x, p.gain, p.bias, c.norm);
  c.pre = plain_nt(c.y, p.w0);
  c.pre.rowwise() += p.b0.row(0);
  const Matrix<S> gate = c.pre.rightCols(inner).unaryExpr([](S g) { return GeluErf::value(g); });
  c.u_mean = c.pre.leftCols(inner).cwiseProduct(gate).colwise().mean();
  return plain_nt(c.u_mean, p.w2) + p.b2 + x.colwise().mean();
}

/// Adds to dp; returns dx [r, D].
template <Real S>
Matrix<S> geglu_mean_backward(const GegluParams<S>& p, const GegluCache<S>& c, const RowVector<S>& de,
                              GegluParams<S>& dp) {
  const Index inner = p.w2.cols(), rows = c.y.rows();
  const S share = S(1) / static_cast<S>(rows);
  dp.w2 += plain_tn(de, c.u_mean);
  dp.b2 += de;
  const RowVector<S> du = share * plain_nn(de, p.w2);  // the same for every row
  Matrix<S> dpre(rows, 2 * inner);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < inner; ++j) {
      dpre(i, j) = du(j) * GeluErf::value(c.pre(i, inner + j));
      dpre(i, inner + j) = du(j) * c.pre(i, j) * GeluErf::derivative(c.pre(i, inner + j));
    }
  dp.w0 += plain_tn(dpre, c.y);
  dp.b0 += dpre.colwise().sum();
  const Matrix<S> dy = plain_nn(dpre, p.w0);
  Matrix<S> dx = layer_norm_backward(c.norm, p.gain, dy, dp.gain, dp.bias);
  dx.rowwise() += share * de;
  return dx;
}

/// What backward needs of latents and keys that go through both blocks.
template <Real S>
struct PerceiverCache {
  LayerNormCache<S> hidden_norm, latent_norm;
  CrossAttendCache<S> attend;
  GegluCache<S> feed_forward;
};

/// Both blocks give 0, so that what stands beside them is all there is at first.
template <Real S>
void zero_outputs(CrossAttendParams<S>& attend, GegluParams<S>& feed_forward) {
  attend.to_out.setZero();
  feed_forward.w2.setZero();
  feed_forward.b2.setZero();
}

}  // namespace embedpool::head_math
