#pragma once
#include "embedpool/pooling/heads/multi_head_attention.hpp"

namespace embedpool::head_math {

/// Multi-head attention with the parameters of torch's MultiheadAttention: one packed input projection with bias, one
/// output projection with bias.
///
///   Q = x Wq^T + bq, K = y Wk^T + bk, V = y Wv^T + bv, out = concat_h softmax(Q K^T / sqrt(d)) V Wo^T + bo
template <Real S>
struct TorchAttentionParams {
  Matrix<S> in_weight, in_bias;    // [3 D, D], [1, 3 D]: rows of q, k, v
  Matrix<S> out_weight, out_bias;  // [D, D], [1, D]
};

template <class P, class F>
void for_each_torch_attention(P& p, F& f) {
  f("attn.in_proj_weight", p.in_weight);
  f("attn.in_proj_bias", p.in_bias);
  f("attn.out_proj.weight", p.out_weight);
  f("attn.out_proj.bias", p.out_bias);
}

/// Weights as torch starts a Linear, biases 0.
template <Real S>
TorchAttentionParams<S> init_torch_attention(Index width, std::mt19937_64& generator) {
  return {linear_init<S>(3 * width, width, width, generator), Matrix<S>::Zero(1, 3 * width),
          linear_init<S>(width, width, width, generator), Matrix<S>::Zero(1, width)};
}

template <Real S>
void check_torch_attention(std::string_view where, const TorchAttentionParams<S>& p, Index width, Index heads) {
  require_in(where, "heads", heads, 1, width);
  require_equal(where, "width modulo heads", width % heads, 0);
  require_equal(where, "rows of in_proj_weight", p.in_weight.rows(), 3 * width);
  require_equal(where, "columns of in_proj_weight", p.in_weight.cols(), width);
  require_vector(where, "size of in_proj_bias", p.in_bias, 3 * width);
  require_equal(where, "rows of out_proj.weight", p.out_weight.rows(), width);
  require_equal(where, "columns of out_proj.weight", p.out_weight.cols(), width);
  require_vector(where, "size of out_proj.bias", p.out_bias, width);
}

template <Real S>
struct TorchAttentionCache {
  Matrix<S> x, y;     // [r, D], [n, D]
  Matrix<S> q, k, v;  // [r, D], [n, D], [n, D]
  Matrix<S> o;        // [r, D] before the output projection
  AttentionCache<S> attention;
};

/// x and y of the cache are set; returns [r, D].
template <Real S>
Matrix<S> torch_attention(const TorchAttentionParams<S>& p, Index heads, TorchAttentionCache<S>& c) {
  const Index d = p.out_weight.rows();
  const auto project = [&](const Matrix<S>& rows, Index part) {
    Matrix<S> out = plain_nt(rows, p.in_weight.middleRows(part * d, d));
    out.rowwise() += p.in_bias.row(0).segment(part * d, d);
    return out;
  };
  c.q = project(c.x, 0);
  c.k = project(c.y, 1);
  c.v = project(c.y, 2);
  c.o = attention(c.q, c.k, c.v, heads, c.attention);
  Matrix<S> out = plain_nt(c.o, p.out_weight);
  out.rowwise() += p.out_bias.row(0);
  return out;
}

/// Adds to dp; gives dx [r, D] and dy [n, D].
template <Real S>
void torch_attention_backward(const TorchAttentionParams<S>& p, Index heads, const TorchAttentionCache<S>& c,
                              const Matrix<S>& dout, TorchAttentionParams<S>& dp, Matrix<S>& dx, Matrix<S>& dy) {
  const Index d = p.out_weight.rows();
  dp.out_weight += plain_tn(dout, c.o);
  dp.out_bias += dout.colwise().sum();
  const Matrix<S> d_o = plain_nn(dout, p.out_weight);
  Matrix<S> dq, dk, dv;
  attention_backward(c.q, c.k, c.v, heads, c.attention, d_o, dq, dk, dv);
  const auto add = [&](const Matrix<S>& rows, const Matrix<S>& gradient, Index part) {
    dp.in_weight.middleRows(part * d, d) += plain_tn(gradient, rows);
    dp.in_bias.row(0).segment(part * d, d) += gradient.colwise().sum();
  };
  add(c.x, dq, 0);
  add(c.y, dk, 1);
  add(c.y, dv, 2);
  dx = plain_nn(dq, p.in_weight.topRows(d));
  dy = plain_nn(dk, p.in_weight.middleRows(d, d)) + plain_nn(dv, p.in_weight.bottomRows(d));
}

}  // namespace embedpool::head_math
