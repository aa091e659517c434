#pragma once
#include "embedpool/core/layer_states.hpp"
#include "embedpool/cuda/element.hpp"
#include "embedpool/cuda/packed_texts.hpp"

namespace embedpool::cuda {

/// One layer of a batch in device memory: a LayerStates that kernels read.
///
/// Row i of `texts` is buffer row i, or buffer row index[i] of somebody's padded buffer: what PaddedBatch::layer says of
/// a pointer to device memory, with its index copied there. Other rows of the buffer are never read.
template <DeviceElement T>
struct DeviceStates {
  Rows<const T> buffer{};
  PackedTexts texts{};
  const Index* index = nullptr;  ///< [texts.rows], null for packed rows

  constexpr const T* row_data(Index row) const noexcept { return buffer.row_data(index ? index[row] : row); }
  /// Columns [column, column + count) of a text, as a reader sees it.
  constexpr TextStates<T> text(Index b, Index column, Index count) const noexcept {
    return {buffer.middle_cols(column, count), texts.first_row[b], index, texts.held[b], texts.shape[b]};
  }
};

}  // namespace embedpool::cuda
