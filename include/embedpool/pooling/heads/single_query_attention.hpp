#pragma once
#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/no_params.hpp"
#include "embedpool/pooling/heads/plain_products.hpp"

namespace embedpool {

/// Attention with one learned query and no projections: e = softmax(H q / sqrt(D)) H.
///
/// Shapes  keys H [n, D] -> e [D]; query [1, D], starts at 0: step 0 is the plain mean
/// Errors  check throws ShapeError when the query is not D wide
struct SingleQueryAttention {
  template <Real S>
  struct Params {
    Matrix<S> query;
  };
  template <Real S>
  struct Cache {
    Matrix<S> weights;  // [1, n]
  };

  template <Real S>
  Params<S> init(Index width, Index /*slots*/, std::uint64_t /*seed*/ = 0) const {
    return {Matrix<S>::Zero(1, width)};
  }
  template <class P, class F>
  static void for_each(P& p, F&& f) {
    f("query", p.query);
  }
  Index output_width(Index width) const { return width; }
  template <Real S>
  void check(const Params<S>& p, Index width, Index /*slots*/) const {
    head_math::require_vector("SingleQueryAttention head", "width of the query", p.query, width);
  }

  template <Real S>
  RowVector<S> forward(const Params<S>& p, const Keys<S>& keys, Cache<S>& c) const {
    const auto h = as_eigen(keys.rows);
    c.weights = head_math::plain_nt(p.query, h) / std::sqrt(static_cast<S>(h.cols()));
    head_math::softmax_rows(c.weights);
    return head_math::plain_nn(c.weights, h);
  }

  /// z = H q / sqrt(D), a = softmax(z):  dz = softmax'(H de),  dq += H^T dz / sqrt(D),  dH += a de^T + dz q^T / sqrt(D)
  template <Real S>
  void backward(const Params<S>& p, const Keys<S>& keys, const Cache<S>& c, const RowVector<S>& de, Params<S>& dp,
                Rows<S> dkeys) const {
    const auto h = as_eigen(keys.rows);
    const Matrix<S> da = head_math::plain_nt(de, h);
    const Matrix<S> dz = head_math::softmax_rows_backward(c.weights, da) / std::sqrt(static_cast<S>(h.cols()));
    dp.query += head_math::plain_nn(dz, h);
    as_eigen(dkeys) += head_math::plain_tn(c.weights, de) + head_math::plain_tn(dz, p.query);
  }
};
static_assert(HeadPolicy<SingleQueryAttention, float> && HeadPolicy<SingleQueryAttention, double>);

}  // namespace embedpool
