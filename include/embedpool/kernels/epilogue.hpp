#pragma once
#include <type_traits>

#include "embedpool/core/half.hpp"
#include "embedpool/kernels/activation.hpp"
#include "embedpool/kernels/gemm_tile.hpp"
#include "embedpool/kernels/prefetch.hpp"

namespace embedpool {

namespace simd {

/// A value or a register of values from memory, whichever `like` is.
template <Real S>
[[gnu::always_inline]] inline S load_as(S /*like*/, const S* from) noexcept {
  return *from;
}
template <Real S>
[[gnu::always_inline]] inline Vector<S> load_as(const Vector<S>& /*like*/, const S* from) noexcept {
  return Vector<S>::load_unaligned(from);
}

/// Writes `count` columns of a row of C from `column` on: out[j] = value(sum_j, its partner, j).
///
/// Whole registers are written as such and the last columns one by one, with the same arithmetic: `value` takes
/// registers and single values alike. The partner of a sum stands half a tile further on, where gated products keep the
/// second.
template <Real S, std::size_t V, class Value>
[[gnu::always_inline]] inline void write_row(S* out, Index column, Index count, const Vector<S> (&sums)[V],
                                             const Value& value) noexcept {
  constexpr Index n = lanes<S>;
  Index c = 0;
  for (std::size_t v = 0; c + n <= count; c += n, ++v)
    value(sums[v], sums[(v + V / 2) % V], column + c).store_unaligned(out + column + c);
  if (c == count) return;
  alignas(64) S values[V * Vector<S>::size];
  for (std::size_t v = 0; v < V; ++v) sums[v].store_aligned(values + static_cast<Index>(v) * n);
  constexpr Index half = static_cast<Index>(V / 2) * n, whole = static_cast<Index>(V) * n;
  for (; c < count; ++c) out[column + c] = value(values[c], values[(c + half) % whole], column + c);
}

/// Asks for `count` columns of rows [first, first + rows) of an epilogue's C.
template <class Epilogue>
[[gnu::always_inline]] inline void prefetch_rows(const Epilogue& epilogue, Index first, Index rows, Index column,
                                                 Index count) noexcept {
  if constexpr (requires { epilogue.c.row_data(first); })
    for (Index r = 0; r < rows; ++r) prefetch<Access::write>(epilogue.c.row_data(first + r) + column, count);
}

}  // namespace simd

/// What happens to a row of a register tile of C before it is written. An epilogue has
///
///   panel_columns()                         how many columns of C a panel of `Tile::width` sums gives
///   store(row, column, sums, count)         `count` columns of C from `column` on; sums is an array of registers
///   needs_all_rows (optional)               true: rows of a column come in rising order, from one job
///   c (optional)                            C, when rows of it are written: asked for while their sums are computed
///
/// This one stores: C = A W^T.
template <Real S>
struct StoreTo {
  Rows<S> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    simd::write_row(c.row_data(row), column, count, sums, [](const auto& sum, const auto&, Index) { return sum; });
  }
};

/// C = A W^T + b, b [N]
template <Real S>
struct StoreBias {
  Rows<S> c;
  const S* bias;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    simd::write_row(c.row_data(row), column, count, sums,
                    [this](const auto& sum, const auto&, Index j) { return sum + simd::load_as(sum, bias + j); });
  }
};

/// C += A W^T: the residual stream.
template <Real S>
struct AddTo {
  Rows<S> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    const S* before = c.row_data(row);
    simd::write_row(c.row_data(row), column, count, sums,
                    [before](const auto& sum, const auto&, Index j) { return simd::load_as(sum, before + j) + sum; });
  }
};

/// C = s A W^T: the first product of a LoRA pair.
template <Real S>
struct StoreScaled {
  Rows<S> c;
  S scale;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    simd::write_row(c.row_data(row), column, count, sums, [this](const auto& sum, const auto&, Index) {
      return sum * std::remove_cvref_t<decltype(sum)>(scale);
    });
  }
};

/// C = diag(s) A W^T, s [M]: a norm whose gain is folded into W needs nothing else.
template <Real S>
struct StoreRowsScaled {
  Rows<S> c;
  const S* scale;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    StoreScaled<S>{c, scale[row]}.store(row, column, sums, count);
  }
};

/// C = A W^T rounded to bfloat16, for an engine that keeps its activations so.
struct StoreBfloat16 {
  Rows<bf16> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<float>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<float> (&sums)[V], Index count) const noexcept {
    alignas(64) float values[V * simd::Vector<float>::size];
    for (std::size_t v = 0; v < V; ++v) sums[v].store_aligned(values + v * simd::Vector<float>::size);
    for (Index j = 0; j < count; ++j) c(row, column + j) = to_bf16(values[j]);
  }
};

/// pooled[t] += the rows of A W^T that belong to text t, in rising order: a map and the mean behind it without C.
///
/// Shapes  pooled [texts, N]; text_of [M], the text of each row
/// Order   one job takes all rows of a column (needs_all_rows), so a text's sum does not depend on the executor; it
///         starts from what pooled held, so begin with zeros
template <Real S>
struct AddToText {
  static constexpr bool needs_all_rows = true;
  Rows<S> pooled;
  const Index* text_of;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    AddTo<S>{pooled}.store(text_of[row], column, sums, count);
  }
};

/// C = act(A Wg^T) .* (A Wu^T): the first half of the sums are of the gate, the second half of the up projection.
template <class Activation, Real S>
struct StoreGated {
  Rows<S> c;
  static constexpr Index panel_columns() noexcept { return simd::Tile<S>::width / 2; }
  template <std::size_t V>
  void store(Index row, Index column, const simd::Vector<S> (&sums)[V], Index count) const noexcept {
    simd::write_row(c.row_data(row), column, count, sums,
                    [](const auto& gate, const auto& up, Index) { return Activation::value(gate) * up; });
  }
};

}  // namespace embedpool
