#pragma once
#include <span>
#include <type_traits>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// A view of rows in somebody's memory: row i is the `cols` contiguous values at data + i * stride.
///
/// Requires stride >= cols when rows > 1; strides are counted in elements. The view owns nothing.
/// `Rows<float>` converts to `Rows<const float>`.
template <class T>
struct Rows {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  constexpr Rows() = default;
  constexpr Rows(T* values, Index row_count, Index col_count) noexcept
      : Rows(values, row_count, col_count, col_count) {}
  constexpr Rows(T* values, Index row_count, Index col_count, Index row_stride) noexcept
      : data(values), rows(row_count), cols(col_count), stride(row_stride) {}
  template <class U>
    requires(std::is_same_v<T, const U>)
  constexpr Rows(const Rows<U>& other) noexcept : Rows(other.data, other.rows, other.cols, other.stride) {}

  constexpr T* row_data(Index i) const noexcept { return data + i * stride; }
  constexpr std::span<T> row(Index i) const noexcept { return {row_data(i), static_cast<std::size_t>(cols)}; }
  constexpr T& operator()(Index i, Index j) const noexcept { return data[i * stride + j]; }

  /// Rows [first, first + count).
  constexpr Rows middle_rows(Index first, Index count) const noexcept {
    return {data + first * stride, count, cols, stride};
  }
  /// Columns [first, first + count) of every row.
  constexpr Rows middle_cols(Index first, Index count) const noexcept { return {data + first, rows, count, stride}; }
};

}  // namespace embedpool
