#pragma once
#include <algorithm>
#include <span>

#include "embedpool/pooling/calibration.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/testing/hidden_states.hpp"

namespace embedpool::testing {

/// Embeddings of states that lie in memory.
template <Real S, Element T, class Pooling>
Matrix<S> embed(const Pooling& pooling, const typename Pooling::template Params<S>& params,
                const HiddenStates<T>& states, const Calibration<S>* calibration = nullptr) {
  const auto layers = states.every_layer();
  return pooling.template run<S, T>(params, states.segments(), std::span<const LayerStates<T>>(layers), calibration);
}

namespace detail {
/// Bit for bit: -0 differs from 0, and a NaN equals itself.
template <Real S>
bool same_bits(const Matrix<S>& a, const Matrix<S>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::equal(reinterpret_cast<const unsigned char*>(a.data()),
                    reinterpret_cast<const unsigned char*>(a.data() + a.size()),
                    reinterpret_cast<const unsigned char*>(b.data()));
}

/// Of the rows of all tokens those that a selection holds, packed.
template <Real S>
Matrix<S> rows_held(const Segments& segments, const RowSelection& selection, Rows<const S> all) {
  Matrix<S> rows(selection.rows(), all.cols);
  for (Index b = 0; b < segments.size(); ++b)
    for (Index i = 0; i < selection.held(b).size(); ++i)
      std::copy_n(all.row_data(segments.offset(b) + selection.held(b).begin + i), all.cols,
                  rows.data() + (selection.first_row(b) + i) * all.cols);
  return rows;
}
}  // namespace detail

}  // namespace embedpool::testing
