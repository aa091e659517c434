#pragma once
#include "embedpool/pooling/heads/perceiver_blocks.hpp"
#include "embedpool/pooling/heads/row_math.hpp"

/// The feed-forward of perceiver_blocks.hpp on the rows of many texts at once, weights read once for all of them.
namespace embedpool::head_math {

/// The weights of a GegluParams as the products take them.
template <Real S>
struct PreparedGeglu {
  PackedGatedWeight<S> w0;
  PackedWeight<S> w2;
};

template <Real S>
PreparedGeglu<S> prepare_geglu(const GegluParams<S>& p, ExecutorRef executor) {
  const Index inner = p.w2.cols();
  const Rows<const S> w0 = rows_of(p.w0);
  return {
      PackedGatedWeight<S>(weight_view(w0.middle_rows(inner, inner)), weight_view(w0.middle_rows(0, inner)), executor),
      PackedWeight<S>(weight_view(rows_of(p.w2)), executor)};
}

/// u = (value + b) .* GELU(gate + b), and with `pre` [rows, 2 F] the two sums themselves, for backward.
template <Real S>
struct StoreGeglu {
  Rows<S> u;
  Rows<S> pre;
  const S* bias;  // [2 F] of the value, then of the gate
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width / 2; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    const S* gate_bias = bias + u.cols;
    const auto value_of = [this](const auto& sum, Index j) { return sum + simd::load_as(sum, bias + j); };
    const auto gate_of = [gate_bias](const auto& sum, Index j) { return sum + simd::load_as(sum, gate_bias + j); };
    simd::write_row(u.row_data(row), column, count, sums, [&](const auto& gate, const auto& value, Index j) {
      return value_of(value, j) * GeluErf::value(gate_of(gate, j));
    });
    if (pre.data == nullptr) return;
    S* out = pre.row_data(row);
    simd::write_row(out, column, count, sums,
                    [&](const auto&, const auto& value, Index j) { return value_of(value, j); });
    simd::write_row(out + u.cols, column, count, sums,
                    [&](const auto& gate, const auto&, Index j) { return gate_of(gate, j); });
  }
};

/// Scratch of the forward pass, and in training what backward needs.
template <Real S>
struct GegluRowsCache {
  RowNorms<S> norms;
  ScratchMatrix<S> y;       // [R, D] normed
  ScratchMatrix<S> pre;     // [R, 2 F], in training
  ScratchMatrix<S> u;       // rows of a chunk of texts, or all
  ScratchMatrix<S> u_mean;  // [B, F]
};

/// e_b = mean over the rows i of text b of x_i + GEGLU(LN(x_i)); rows [first[b], first[b + 1]) of x are those of text
/// b.
///
/// Shapes  x [R, D] -> e [B, D]
/// Memory  without `keep` the inner rows [_, F] exist for some texts at a time only
template <Real S>
void geglu_mean_rows(const GegluParams<S>& p, const PreparedGeglu<S>& prepared, Rows<const S> x,
                     std::span<const Index> first, bool keep, GegluRowsCache<S>& c, Rows<S> e, ExecutorRef executor) {
  constexpr Index chunk_rows = 1024;
  const Index texts = static_cast<Index>(first.size()) - 1, inner = p.w2.cols();
  const auto begin_of = [&](Index b) { return first[static_cast<std::size_t>(b)]; };
  const Rows<S> mean = c.u_mean.resize(texts, inner);
  for (Index b = 0, end; b < texts; b = end) {
    end = b + 1;
    while (end < texts && (keep || begin_of(end + 1) - begin_of(b) <= chunk_rows)) ++end;
    const Index begin = begin_of(b), rows = begin_of(end) - begin;
    c.norms.standardise(x.middle_rows(begin, rows), executor);
    const Rows<S> y = c.y.resize(rows, x.cols), u = c.u.resize(rows, inner);
    c.norms.apply(p.gain, p.bias, y, executor);
    const StoreGeglu<S> epilogue{u, keep ? c.pre.resize(rows, 2 * inner) : Rows<S>(), p.b0.data()};
    simd::gemm_panels(Rows<const S>(y), prepared.w0.panels(), inner, epilogue, executor);
    executor.parallel_for(end - b, [&](Index i, Index) {
      const Index count = begin_of(b + i + 1) - begin_of(b + i);
      sum_rows(Rows<const S>(u).middle_rows(begin_of(b + i) - begin, count), S(1) / static_cast<S>(count),
               mean.row_data(b + i));
    });
  }
  gemm_nt(Rows<const S>(mean), prepared.w2, StoreBias<S>{e, p.b2.data()}, executor);
  executor.parallel_for(texts, [&](Index b, Index) {
    const Index count = begin_of(b + 1) - begin_of(b);
    for (Index i = begin_of(b); i < begin_of(b + 1); ++i)
      simd::axpy(S(1) / static_cast<S>(count), x.row(i), e.row_data(b));
  });
}

/// d(value) and d(gate) of one row from that of u, in place of the sums.
template <Real S>
void geglu_row_backward(Index inner, const S* du, S* pre) noexcept {
  for_each_column<S>(inner, [&](auto kind, Index j) {
    const auto value = simd::load_as(kind, pre + j), gate = simd::load_as(kind, pre + inner + j);
    const auto d = simd::load_as(kind, du + j);
    using std::erf, std::exp, xsimd::erf, xsimd::exp;
    const auto phi = S(0.5) * (S(1) + erf(gate * S(std::numbers::sqrt2 / 2)));
    const auto density = S(std::numbers::inv_sqrtpi / std::numbers::sqrt2) * exp(S(-0.5) * gate * gate);
    store_to<S>(pre + j, d * gate * phi);
    store_to<S>(pre + inner + j, d * value * (phi + gate * density));
  });
}

/// Adds to dp; dx [R, D] is overwritten. Every row of a text has the same gradient behind the mean, so W2 sees one row
/// a text. Uses the cache up.
template <Real S>
void geglu_mean_rows_backward(const GegluParams<S>& p, std::span<const Index> first, GegluRowsCache<S>& c,
                              Rows<const S> de, GegluParams<S>& dp, Rows<S> dx, ExecutorRef executor) {
  const Index texts = de.rows, inner = p.w2.cols();
  const auto begin_of = [&](Index b) { return first[static_cast<std::size_t>(b)]; };
  add_product_tn(de, Rows<const S>(c.u_mean.rows()), rows_of(dp.w2), executor);
  add_column_sums<S>(de, {}, nullptr, dp.b2, executor);
  const Rows<S> du = c.u_mean.rows(), pre = c.pre.rows();  // the mean itself is not needed any more
  product_nn(de, rows_of(p.w2), StoreTo<S>{du}, executor);
  executor.parallel_for(texts, [&](Index b, Index) {
    const S share = S(1) / static_cast<S>(begin_of(b + 1) - begin_of(b));
    for_each_column<S>(inner, [&](auto kind, Index j) {
      store_to<S>(du.row_data(b) + j, simd::load_as(kind, du.row_data(b) + j) * share);
    });
    for (Index i = begin_of(b); i < begin_of(b + 1); ++i) geglu_row_backward(inner, du.row_data(b), pre.row_data(i));
  });
  add_product_tn(Rows<const S>(pre), Rows<const S>(c.y.rows()), rows_of(dp.w0), executor);
  add_column_sums<S>(pre, {}, nullptr, dp.b0, executor);
  product_nn(Rows<const S>(pre), rows_of(p.w0), StoreTo<S>{dx}, executor);  // dy
  add_column_sums<S>(dx, c.norms.x_hat.rows(), &dp.gain, dp.bias, executor);
  scale_columns(dx, p.gain, executor);
  c.norms.backward(dx, executor);
  executor.parallel_for(texts, [&](Index b, Index) {
    const S share = S(1) / static_cast<S>(begin_of(b + 1) - begin_of(b));
    for (Index i = begin_of(b); i < begin_of(b + 1); ++i) simd::axpy(share, de.row(b), dx.row_data(i));
  });
}

}  // namespace embedpool::head_math
