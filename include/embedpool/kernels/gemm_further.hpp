#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/text_shape.hpp"
#include "embedpool/kernels/gemm_plan.hpp"
#include "embedpool/kernels/panels.hpp"

namespace embedpool::simd {

/// A product that is added in the same registers, C = epilogue(A P + A' P'), for short sums: the second half of a LoRA
/// pair costs its multiplications then, and no way through the memory of C.
template <Operand T, class Panels>
struct FurtherProduct {
  Rows<const T> a;
  Panels panels;
};

/// The panels of further products for one group of columns, and the products themselves.
template <Operand T, class Panels>
class FurtherPanels {
 public:
  using S = SumOf<T>;

  FurtherPanels(std::span<const FurtherProduct<T, Panels>> products, Interval panel_range, AlignedBuffer<T>& memory)
      : products_(products), count_(panel_range.size()) {
    Index rows = 0;
    for (const auto& product : products) rows += product.panels.depth();
    // A source may make more panels at once than are left.
    T* buffer = products.empty() ? nullptr : memory.reserve(rows * Tile<T>::width * (count_ + GemmPlan::most_panels));
    made_.reserve(products.size() * static_cast<std::size_t>(count_));
    for (const auto& [a, source] : products)
      for (Index p = 0; p < count_; p += source.group()) {
        const PanelView<T> view = source.fetch(panel_range.begin + p, 0, source.depth(), buffer);
        buffer += source.group() * source.depth() * Tile<T>::width;
        for (Index i = 0; i < std::min(source.group(), count_ - p); ++i) made_.push_back(view.data + i * view.pitch);
      }
  }

  /// tile += the products, for rows [first, first + count) and panel p of the group.
  void add(Index p, Index first, Index count, int registers, S* tile) const noexcept {
    std::size_t panel = static_cast<std::size_t>(p);
    for (const auto& product : products_) {
      TileOf<T>::get(count, registers)(product.a.row_data(first), product.a.stride, made_[panel], product.a.cols, tile, tile);
      panel += static_cast<std::size_t>(count_);
    }
  }

 private:
  std::span<const FurtherProduct<T, Panels>> products_;
  Index count_;
  std::vector<const T*> made_;  ///< count_ panels a product
};

}  // namespace embedpool::simd
