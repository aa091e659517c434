#pragma once
#include <vector>

#include "embedpool/pooling/heads/head_math.hpp"
#include "embedpool/pooling/heads/plain_products.hpp"

namespace embedpool::head_math {

/// What attention_backward needs.
template <Real S>
struct AttentionCache {
  std::vector<Matrix<S>> weights;  // a head: A [r, n]
};

/// Several heads of softmax(Q K^T / sqrt(d)) V: head h uses columns h d .. (h + 1) d.
///
/// Shapes  q [r, H d], k and v [n, H d] -> [r, H d]
template <Real S>
Matrix<S> attention(const Matrix<S>& q, const Matrix<S>& k, const Matrix<S>& v, Index heads, AttentionCache<S>& cache) {
  const Index d = q.cols() / heads;
  const S scale = S(1) / std::sqrt(static_cast<S>(d));
  Matrix<S> out(q.rows(), q.cols());
  cache.weights.resize(static_cast<std::size_t>(heads));
  for (Index h = 0; h < heads; ++h) {
    Matrix<S>& a = cache.weights[static_cast<std::size_t>(h)];
    a = plain_nt(q.middleCols(h * d, d), k.middleCols(h * d, d));  // [r, n]
    a *= scale;
    softmax_rows(a);
    out.middleCols(h * d, d) = plain_nn(a, v.middleCols(h * d, d));
  }
  return out;
}

/// dq, dk, dv [as q, k, v], overwritten.
template <Real S>
void attention_backward(const Matrix<S>& q, const Matrix<S>& k, const Matrix<S>& v, Index heads,
                        const AttentionCache<S>& cache, const Matrix<S>& dout, Matrix<S>& dq, Matrix<S>& dk,
                        Matrix<S>& dv) {
  const Index d = q.cols() / heads;
  const S scale = S(1) / std::sqrt(static_cast<S>(d));
  dq.resize(q.rows(), q.cols());
  dk.resize(k.rows(), k.cols());
  dv.resize(v.rows(), v.cols());
  for (Index h = 0; h < heads; ++h) {
    const Matrix<S>& a = cache.weights[static_cast<std::size_t>(h)];
    const auto columns = [&](const Matrix<S>& m) { return m.middleCols(h * d, d); };
    dv.middleCols(h * d, d) = plain_tn(a, columns(dout));
    const Matrix<S> da = plain_nt(columns(dout), columns(v));                // [r, n]
    const Matrix<S> dz = scale * softmax_rows_backward(a, da);               // [r, n]
    dq.middleCols(h * d, d) = plain_nn(dz, columns(k));
    dk.middleCols(h * d, d) = plain_tn(dz, columns(q));
  }
}

}  // namespace embedpool::head_math
