#pragma once
#include "embedpool/pooling/heads/head_math.hpp"

/// Multi-head attention cut where one side is the same for every text. Weights of all heads lie side by side, so that
/// values that went through the output projection first are mixed by one product.
namespace embedpool::head_math {

/// A = [A_1 | ... | A_H], A_h = softmax over keys of Q_h K_h^T.
///
/// Shapes  q [r, H d], already divided by sqrt(d); k [n, H d] -> [r, H n]
template <Real S>
Matrix<S> attention_weights(const Matrix<S>& q, const Matrix<S>& k, Index heads) {
  const Index d = q.cols() / heads, n = k.rows();
  Matrix<S> a(q.rows(), heads * n);
  for (Index h = 0; h < heads; ++h)
    a.middleCols(h * n, n).noalias() = q.middleCols(h * d, d) * k.middleCols(h * d, d).transpose();
  for (Index i = 0; i < a.rows(); ++i)
    for (Index h = 0; h < heads; ++h)
      simd::softmax(std::span<S>(a.row(i).data() + h * n, static_cast<std::size_t>(n)));
  return a;
}

/// concat_h A_h V_h. Shapes: a [r, H n], v [n, H d] -> [r, H d]
template <Real S>
Matrix<S> mix_values(const Matrix<S>& a, const Matrix<S>& v, Index heads) {
  const Index d = v.cols() / heads, n = v.rows();
  Matrix<S> o(a.rows(), v.cols());
  for (Index h = 0; h < heads; ++h)
    o.middleCols(h * d, d).noalias() = a.middleCols(h * n, n) * v.middleCols(h * d, d);
  return o;
}

/// Every value through its head's part of the output projection, V_h Wo_h^T, heads below each other, so that
/// A times the result is concat_h(A_h V_h) Wo^T. Shapes: v [n, H d], to_out [D, H d] -> [H n, D]
template <Real S>
Matrix<S> project_values(const Matrix<S>& v, const Matrix<S>& to_out, Index heads) {
  const Index d = v.cols() / heads, n = v.rows();
  Matrix<S> projected(heads * n, to_out.rows());
  for (Index h = 0; h < heads; ++h)
    projected.middleRows(h * n, n).noalias() = v.middleCols(h * d, d) * to_out.middleCols(h * d, d).transpose();
  return projected;
}

/// Whether r queries over n keys cost fewer multiplications when the values go through Wo [D, H d] before they are
/// mixed, n Hd D + r H n D, than after, r n Hd + r Hd D. So it is when there are clearly fewer keys than queries.
constexpr bool project_values_first(Index queries, Index keys, Index width, Index inner, Index heads) noexcept {
  return keys * inner * width + queries * heads * keys * width < queries * keys * inner + queries * inner * width;
}

}  // namespace embedpool::head_math
