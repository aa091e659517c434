#pragma once
#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/no_params.hpp"

namespace embedpool {

/// The plain mean of a text's keys, for several layers or readers without training.
///
///   e = 1/n sum_k u_k      u_k = h_k, or (h_k - mean) / sqrt(var + 1e-5) with normalise_keys, so that layers of large
///                          states do not drown the others
///
/// Shapes  keys [n, D] -> e [D]
struct LayerMean {
  template <Real S>
  using Params = NoParams;
  template <Real S>
  using Cache = head_math::LayerNormCache<S>;
  bool normalise_keys = false;

  template <Real S>
  NoParams init(Index /*width*/, Index /*slots*/, std::uint64_t /*seed*/ = 0) const {
    return {};
  }
  template <class F>
  static void for_each(const NoParams&, F&&) {}
  Index output_width(Index width) const { return width; }

  template <Real S>
  RowVector<S> forward(const NoParams&, const Keys<S>& keys, Cache<S>& cache) const {
    if (!normalise_keys) return as_eigen(keys.rows).colwise().mean();
    return head_math::standardise_rows<S>(as_eigen(keys.rows), cache).colwise().mean();
  }

  /// du_k = de / n
  template <Real S>
  void backward(const NoParams&, const Keys<S>& keys, const Cache<S>& cache, const RowVector<S>& de, const NoParams&,
                Rows<S> dkeys) const {
    const Matrix<S> du = (de / static_cast<S>(keys.rows.rows)).replicate(keys.rows.rows, 1);
    as_eigen(dkeys) += normalise_keys ? head_math::standardise_rows_backward(cache, du) : du;
  }
};
static_assert(HeadPolicy<LayerMean, float> && HeadPolicy<LayerMean, double>);

}  // namespace embedpool
