#pragma once
#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/no_params.hpp"
#include "embedpool/pooling/heads/plain_products.hpp"

namespace embedpool {

/// Additive attention: e = sum_k softmax_k(v . tanh(W h_k + b)) h_k.
///
/// Shapes  keys [n, D] -> e [D]; v [1, A], W [A, D], b [1, A] with A = D by default
/// Errors  check throws ShapeError for parameters of other shapes
/// Source  arXiv 1409.0473, with one global context vector as in arXiv 1703.03130 (one hop)
struct AdditiveAttention {
  template <Real S>
  struct Params {
    Matrix<S> v, w, b;
  };
  template <Real S>
  struct Cache {
    Matrix<S> t;        // [n, A] tanh(W h + b)
    Matrix<S> weights;  // [1, n]
  };

  /// v starts at 0: step 0 is the plain mean.
  template <Real S>
  Params<S> init(Index width, Index /*slots*/, std::uint64_t seed = 0) const {
    std::mt19937_64 generator(seed);
    const Matrix<S> w = head_math::linear_init<S>(width, width, width, generator);
    return {Matrix<S>::Zero(1, width), w, head_math::linear_init<S>(1, width, width, generator)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("v", p.v);
    f("w.weight", p.w);
    f("w.bias", p.b);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index width, Index /*slots*/) const {
    require_equal("AdditiveAttention head", "width of w", p.w.cols(), width);
    head_math::require_vector("AdditiveAttention head", "size of v", p.v, p.w.rows());
    head_math::require_vector("AdditiveAttention head", "size of the bias", p.b, p.w.rows());
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const auto h = as_eigen(keys.rows);
    c.t = head_math::plain_nt(h, p.w);
    c.t.rowwise() += p.b.row(0);
    c.t = c.t.array().tanh().matrix().eval();
    c.weights = head_math::plain_nt(p.v, c.t);
    head_math::softmax_rows(c.weights);
    return head_math::plain_nn(c.weights, h);
  }

  /// dz = softmax'(H de),  dv += dz T,  du = dz v .* (1 - T^2),  dW += du^T H,  dH += a de^T + du W
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const auto h = as_eigen(keys.rows);
    const Matrix<S> da = head_math::plain_nt(de, h);
    const Matrix<S> dz = head_math::softmax_rows_backward(c.weights, da);  // [1, n]
    dp.v += head_math::plain_nn(dz, c.t);
    const Matrix<S> dt = head_math::plain_tn(dz, p.v);                      // [n, A]
    const Matrix<S> du = dt.array() * (S(1) - c.t.array().square());
    dp.w += head_math::plain_tn(du, h);
    dp.b += du.colwise().sum();
    as_eigen(dkeys) += head_math::plain_tn(c.weights, de) + head_math::plain_nn(du, p.w);
  }
};
static_assert(HeadPolicy<AdditiveAttention, float> && HeadPolicy<AdditiveAttention, double>);

}  // namespace embedpool
