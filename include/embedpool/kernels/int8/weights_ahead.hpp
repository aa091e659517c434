#pragma once
#include <algorithm>

#include "embedpool/kernels/weight.hpp"

namespace embedpool::simd {

/// Weights that will be needed next, asked for a few cache lines at a time between pieces of arithmetic: at few rows
/// the memory would otherwise wait while the machine computes, and the machine while weights arrive. Nothing of it
/// changes a result.
class WeightsAhead {
 public:
  WeightsAhead() = default;
  /// Rows [first, first + rows) of each of two matrices of one height, of which all will have been asked for after
  /// `pieces` calls of advance. Rows beyond the last do not count.
  WeightsAhead(const WeightView& a, const WeightView& b, Index first, Index rows, Index pieces) noexcept {
    rows = std::clamp<Index>(a.rows - first, 0, rows);
    if (rows == 0) return;
    next_[0] = a.row(first), next_[1] = b.row(first);
    left_ = (rows * std::max(a.row_bytes(), b.row_bytes()) + line - 1) / line;
    lines_ = (left_ + pieces - 1) / std::max<Index>(1, pieces);
  }
  /// The same for one matrix.
  WeightsAhead(const WeightView& w, Index first, Index rows, Index pieces) noexcept
      : WeightsAhead(w, w, first, (rows + 1) / 2, pieces) {
    if (left_ > 0) next_[1] = w.row(std::min(first + (rows + 1) / 2, w.rows - 1));
  }
  void advance() noexcept {
    if (left_ <= 0) return;
    for (Index i = 0; i < lines_; ++i)
      for (const std::byte*& next : next_) {
        __builtin_prefetch(next);  // harmless wherever it points
        next += line;
      }
    left_ -= lines_;
  }

 private:
  static constexpr Index line = 64;
  const std::byte* next_[2] = {};
  Index left_ = 0;   ///< lines of each region
  Index lines_ = 0;  ///< of each region in a call
};

}  // namespace embedpool::simd
