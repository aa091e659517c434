#pragma once
#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/torch_attention.hpp"

namespace embedpool {

/// Layer-wise attention: the last layer's state asks which layers matter; keys are rows, the last one is the query.
///
///   e = softmax(H h_n / sqrt(D)) H                         (heads = 0: nothing to learn)
///   e = MultiHeadAttention(h_n, H, H)                      (heads > 0: torch's parameters)
///
/// Shapes  keys H [n, D] -> e [D]; the gradient flows through the query as well
/// Errors  check throws ShapeError for parameters that do not fit
/// Source  arXiv 2209.05972
struct LayerAttention {
  Index heads = 0;

  template <Real S>
  struct Params {
    head_math::TorchAttentionParams<S> attend;  // empty when heads = 0
  };
  template <Real S>
  struct Cache {
    head_math::TorchAttentionCache<S> attend;
    Matrix<S> weights;  // [1, n], when heads = 0
  };

  template <Real S>
  Params<S> init(Index width, Index /*slots*/, std::uint64_t seed = 0) const {
    if (heads == 0) return {};
    std::mt19937_64 generator(seed);
    return {head_math::init_torch_attention<S>(width, generator)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    if (p.attend.in_weight.size() > 0) head_math::for_each_torch_attention(p.attend, f);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index width, Index /*slots*/) const {
    if (heads > 0) head_math::check_torch_attention("LayerAttention head", p.attend, width, heads);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const auto h = as_eigen(keys.rows);
    if (heads > 0) {
      c.attend.x = h.bottomRows(1);
      c.attend.y = h;
      return head_math::torch_attention(p.attend, heads, c.attend);
    }
    c.weights = head_math::plain_nt(h.bottomRows(1), h) / std::sqrt(static_cast<S>(h.cols()));
    head_math::softmax_rows(c.weights);
    return head_math::plain_nn(c.weights, h);
  }

  /// dz = softmax'(H de) / sqrt(D):  dH += a^T de + dz^T h_n,  dh_n += dz H
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    auto dh = as_eigen(dkeys);
    if (heads > 0) {
      Matrix<S> dquery, drows;
      head_math::torch_attention_backward<S>(p.attend, heads, c.attend, de, dp.attend, dquery, drows);
      dh += drows;
      dh.bottomRows(1) += dquery;
      return;
    }
    const auto h = as_eigen(keys.rows);
    const Matrix<S> da = head_math::plain_nt(de, h);
    const Matrix<S> dz = head_math::softmax_rows_backward(c.weights, da) / std::sqrt(static_cast<S>(h.cols()));
    dh += head_math::plain_tn(c.weights, de) + head_math::plain_tn(dz, h.bottomRows(1));
    dh.bottomRows(1) += head_math::plain_nn(dz, h);
  }
};
static_assert(HeadPolicy<LayerAttention, float> && HeadPolicy<LayerAttention, double>);

}  // namespace embedpool
