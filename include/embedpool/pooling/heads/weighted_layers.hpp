#pragma once
#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/no_params.hpp"
#include "embedpool/pooling/heads/plain_products.hpp"

namespace embedpool {

/// Raw layer weights, of any sign: e = sum_k w_k h_k / sum_k w_k. The weights start at 1.
///
/// Shapes  keys [n, D] -> e [D]; layer_weights [1, slots]
/// Errors  check throws ShapeError when the weights do not match the kinds of keys. A sum of 0 gives infinities, as there
/// Source  WeightedLayerPooling of sentence-transformers
struct WeightedLayers {
  template <Real S>
  struct Params {
    Matrix<S> layer_weights;
  };
  template <Real S>
  struct Cache {
    RowVector<S> weights;  // [n]
    RowVector<S> e;
  };

  template <Real S>
  Params<S> init(Index /*width*/, Index slots, std::uint64_t /*seed*/ = 0) const {
    return {Matrix<S>::Ones(1, slots)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("layer_weights", p.layer_weights);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index /*width*/, Index slots) const {
    head_math::require_vector("WeightedLayers head", "weights", p.layer_weights, slots);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    c.weights.resize(keys.rows.rows);
    for (Index k = 0; k < c.weights.size(); ++k)
      c.weights(k) = p.layer_weights(0, keys.slot[static_cast<std::size_t>(k)]);
    return c.e = head_math::plain_nn(c.weights, as_eigen(keys.rows)) / c.weights.sum();
  }

  /// dw_k += de . (h_k - e) / sum w,  dh_k += w_k / sum w de
  template <Real S>
  void backward(const Params<S>&, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const S sum = c.weights.sum();
    for (Index k = 0; k < c.weights.size(); ++k) {
      dp.layer_weights(0, keys.slot[static_cast<std::size_t>(k)]) += de.dot(as_eigen(keys.rows).row(k) - c.e) / sum;
      as_eigen(dkeys).row(k) += c.weights(k) / sum * de;
    }
  }
};
static_assert(HeadPolicy<WeightedLayers, float> && HeadPolicy<WeightedLayers, double>);

}  // namespace embedpool
