#pragma once
#include "embedpool/pooling/heads/attention_cost.hpp"
#include "embedpool/pooling/heads/row_math.hpp"

/// The scores of learned queries, which are the same for every text, against the keys of many texts at once.
///
///   z_ih,n = q_ih . W_K,h y_n / sqrt(d),   y_n = gain .* x_hat_n + bias
///
/// Folded, z_ih,n = f_ih . x_hat_n with f_ih = gain .* (W_K,h^T q_ih) / sqrt(d), made once: the bias adds the same to
/// all scores of a query, which its softmax drops, and no key meets W_K or the LayerNorm's gain.
namespace embedpool::head_math {

template <Real S>
struct FixedQueries {
  AttentionSizes sizes{};
  bool folded = false;
  Matrix<S> rows;  // [H r, D] folded, else [H r, d]; row h r + i is query i of head h; divided by sqrt(d)
};

/// The queries of one head, divided by sqrt(d): x Wq_h^T + bq_h. Shapes: x [r, D], to_q [H d, D], bias [H d] or empty
/// for 0 -> [r, d]
template <Real S>
void project_queries(Rows<const S> x, Rows<const S> to_q, std::span<const S> bias, Index head, Index head_dim,
                     Rows<S> out, ExecutorRef executor) {
  product_nt(x, to_q.middle_rows(head * head_dim, head_dim), StoreTo<S>{out}, executor);
  const S scale = S(1) / std::sqrt(static_cast<S>(head_dim));
  for (Index i = 0; i < out.rows; ++i)
    for (Index j = 0; j < head_dim; ++j) {
      if (!bias.empty()) out(i, j) += bias[static_cast<std::size_t>(head * head_dim + j)];
      out(i, j) *= scale;
    }
}

/// Shapes  x [r, D] what the queries are projected from; to_q, to_k [H d, D]; gain [1, D], or empty for 1; bias of to_q
///         [H d], or empty for 0
template <Real S>
FixedQueries<S> prepare_queries(const AttentionSizes& sizes, Rows<const S> x, Rows<const S> to_q, Rows<const S> to_k,
                                const Matrix<S>& gain, ExecutorRef executor, std::span<const S> bias = {}) {
  FixedQueries<S> q{sizes, fold_keys(sizes), {}};
  const Index r = sizes.queries, d = sizes.head_dim;
  q.rows.resize(sizes.heads * r, q.folded ? sizes.width : d);
  for_each_part(sizes.heads, executor, [&](Index h, ExecutorRef inner) {
    const Rows<S> out = rows_of(q.rows).middle_rows(h * r, r);
    if (!q.folded) return project_queries(x, to_q, bias, h, d, out, inner);
    Matrix<S> projected(r, d);
    project_queries(x, to_q, bias, h, d, rows_of(projected), inner);
    product_nn(rows_of(std::as_const(projected)), to_k.middle_rows(h * d, d), StoreTo<S>{out}, inner);
    if (gain.size() > 0) scale_columns(out, gain, inner);
  });
  return q;
}

/// Scores of every key, a [N, H r]: column h r + i is that of query i in head h.
///
/// Shapes  keys [N, D], what the queries were folded for (x_hat), or y where they are not; k [N, H d] scratch, then
template <Real S>
void score_keys(const FixedQueries<S>& q, Rows<const S> keys, Rows<const S> to_k, ScratchMatrix<S>& k, Rows<S> a,
                ExecutorRef executor) {
  if (q.folded) return product_nt(keys, rows_of(q.rows), StoreTo<S>{a}, executor);
  const Index r = q.sizes.queries, d = q.sizes.head_dim;
  const Rows<S> projected = k.resize(keys.rows, q.sizes.inner());
  product_nt(keys, to_k, StoreTo<S>{projected}, executor);
  for_each_part(q.sizes.heads, executor, [&](Index h, ExecutorRef inner) {
    product_nt(Rows<const S>(projected.middle_cols(h * d, d)), rows_of(q.rows).middle_rows(h * r, r),
               StoreTo<S>{a.middle_cols(h * r, r)}, inner);
  });
}

/// Calls job(rows of one text, first column, columns) for blocks of columns of every text: the jobs of what runs down
/// the keys of a text.
template <Real S, class Job>
void for_each_block(Rows<S> a, std::span<const Index> first, ExecutorRef executor, const Job& job) {
  constexpr Index block = 512;
  const Index blocks = (a.cols + block - 1) / block;
  executor.parallel_for((static_cast<Index>(first.size()) - 1) * blocks, [&](Index i, Index) {
    const std::size_t t = static_cast<std::size_t>(i / blocks);
    const Index column = i % blocks * block;
    job(first[t], first[t + 1] - first[t], column, std::min(block, a.cols - column));
  });
}

/// Softmax of every column over the keys of each text, in place. Keys of text t are rows [first[t], first[t + 1]).
template <Real S>
void softmax_over_keys(Rows<S> a, std::span<const Index> first, ExecutorRef executor) {
  for_each_block(a, first, executor, [&](Index begin, Index keys, Index column, Index columns) {
    S top[512], sum[512];
    const Rows<S> z = a.middle_rows(begin, keys).middle_cols(column, columns);
    using std::exp, std::max, xsimd::exp, xsimd::max;
    std::copy_n(z.data, columns, top);
    std::fill_n(sum, columns, S(0));
    const auto each = [&](const auto& f) {
      for (Index n = 0; n < keys; ++n)
        for_each_column<S>(columns, [&](auto kind, Index j) { f(kind, z.row_data(n), j); });
    };
    each([&](auto kind, S* row, Index j) {
      store_to<S>(top + j, max(simd::load_as(kind, row + j), simd::load_as(kind, top + j)));
    });
    each([&](auto kind, S* row, Index j) {
      const decltype(kind) least(S(-1000));  // keeps infinity from xsimd's exponential; below it all are 0
      const decltype(kind) e = exp(simd::at_least(least, simd::load_as(kind, row + j) - simd::load_as(kind, top + j)));
      store_to<S>(row + j, e);
      store_to<S>(sum + j, simd::load_as(kind, sum + j) + e);
    });
    each([&](auto kind, S* row, Index j) {
      store_to<S>(row + j, simd::load_as(kind, row + j) / simd::load_as(kind, sum + j));
    });
  });
}

/// A = softmax(Z) down the keys:  dZ = A .* (dA - columnsum(A .* dA)), in place of dA.
template <Real S>
void softmax_over_keys_backward(Rows<const S> a, Rows<S> da, std::span<const Index> first, ExecutorRef executor) {
  for_each_block(da, first, executor, [&](Index begin, Index keys, Index column, Index columns) {
    S along[512] = {};
    const auto each = [&](const auto& f) {
      for (Index n = begin; n < begin + keys; ++n)
        for_each_column<S>(columns, [&](auto kind, Index j) {
          f(simd::load_as(kind, a.row_data(n) + column + j), da.row_data(n) + column + j, j, kind);
        });
    };
    each([&](auto weight, S* d, Index j, auto kind) {
      store_to<S>(along + j, simd::load_as(kind, along + j) + weight * simd::load_as(kind, d));
    });
    each([&](auto weight, S* d, Index j, auto kind) {
      store_to<S>(d, weight * (simd::load_as(kind, d) - simd::load_as(kind, along + j)));
    });
  });
}

}  // namespace embedpool::head_math
