#pragma once
#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/no_params.hpp"
#include "embedpool/pooling/heads/plain_products.hpp"

namespace embedpool {

/// Scalar mix: one learned weight for each kind of key, made positive and summing to one by a softmax.
///
///   e = gamma sum_k softmax(scalars)_k u_k       u_k = h_k, or its LayerNorm without gain with normalise_keys
///
/// The softmax runs over the kinds that the text has. Scalars start at 0: step 0 is the plain mean.
/// Shapes  keys [n, D] -> e [D]; scalars [1, slots], gamma [1, 1]
/// Errors  check throws ShapeError when the scalars do not match the kinds of keys
/// Source  ELMo's scalar mix, arXiv 1802.05365; normalised keys: the calibrated mix of 30 weights
struct LayerMix {
  bool normalise_keys = false;

  template <Real S>
  struct Params {
    Matrix<S> scalars, gamma;
  };
  template <Real S>
  struct Cache {
    head_math::LayerNormCache<S> norm;
    Matrix<S> u;        // [n, D]
    Matrix<S> weights;  // [1, n]
  };

  template <Real S>
  Params<S> init(Index /*width*/, Index slots, std::uint64_t /*seed*/ = 0) const {
    return {Matrix<S>::Zero(1, slots), Matrix<S>::Ones(1, 1)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("scalars", p.scalars);
    f("gamma", p.gamma);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index /*width*/, Index slots) const {
    head_math::require_vector("LayerMix head", "scalars", p.scalars, slots);
    head_math::require_vector("LayerMix head", "gamma", p.gamma, 1);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    if (normalise_keys)
      c.u = head_math::standardise_rows<S>(as_eigen(keys.rows), c.norm);
    else
      c.u = as_eigen(keys.rows);
    c.weights.resize(1, keys.rows.rows);
    for (Index k = 0; k < c.weights.cols(); ++k) c.weights(0, k) = p.scalars(0, keys.slot[static_cast<std::size_t>(k)]);
    head_math::softmax_rows(c.weights);
    return p.gamma(0, 0) * head_math::plain_nn(c.weights, c.u);
  }

  /// dgamma += de . mix, dscalars += gamma softmax'(de . u_k), du_k = gamma weight_k de
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const Matrix<S> along = head_math::plain_nt(de, c.u);  // [1, n]
    dp.gamma(0, 0) += along.cwiseProduct(c.weights).sum();
    const Matrix<S> dweights = p.gamma(0, 0) * along;
    const Matrix<S> dscalars = head_math::softmax_rows_backward(c.weights, dweights);
    for (Index k = 0; k < dscalars.cols(); ++k)
      dp.scalars(0, keys.slot[static_cast<std::size_t>(k)]) += dscalars(0, k);
    const Matrix<S> du = p.gamma(0, 0) * head_math::plain_tn(c.weights, de);
    as_eigen(dkeys) += normalise_keys ? head_math::standardise_rows_backward(c.norm, du) : du;
  }
};
static_assert(HeadPolicy<LayerMix, float> && HeadPolicy<LayerMix, double>);

}  // namespace embedpool
