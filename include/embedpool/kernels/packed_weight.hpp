#pragma once
#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/panels.hpp"

namespace embedpool {

namespace simd {

/// Panels of any source, made once and kept: a source itself.
template <Real S>
class PackedPanels {
 public:
  PackedPanels() = default;
  template <class Source, Executor E>
  PackedPanels(const Source& source, E& executor) : count_(source.count()), depth_(source.depth()) {
    const Index size = depth_ * Tile<S>::width, group = source.group();
    values_.reserve((count_ + group - 1) / group * group * size);  // the last group may have panels beyond the last
    executor.parallel_for((count_ + group - 1) / group, [&](Index job, Index) {
      source.fetch(job * group, 0, depth_, values_.data() + job * group * size);
    });
  }
  Index count() const noexcept { return count_; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return depth_; }
  PanelView<S> fetch(Index panel, Index k, Index, S*) const noexcept {
    return {values_.data() + (panel * depth_ + k) * Tile<S>::width, 0};
  }

 private:
  AlignedBuffer<S> values_;
  Index count_ = 0;
  Index depth_ = 0;
};

}  // namespace simd

/// A weight matrix decoded and packed once, to be used in place of its WeightView: costs N K values of memory, and saves
/// decoding in every product, which is worth 5 to 35 % at 16 to 128 rows. Products have the same bits either way.
///
/// Shapes  as the WeightView that it is made from, which is not needed afterwards
template <Real S>
class PackedWeight {
 public:
  PackedWeight() = default;
  template <Executor E>
  PackedWeight(const WeightView& w, E& executor)
      : panels_(simd::MatrixPanels<S>{w}, executor), rows_(w.rows), cols_(w.cols) {}
  Index rows() const noexcept { return rows_; }
  Index cols() const noexcept { return cols_; }
  const simd::PackedPanels<S>& panels() const noexcept { return panels_; }

 private:
  simd::PackedPanels<S> panels_;
  Index rows_ = 0;
  Index cols_ = 0;
};

/// The gate and up matrices of a gated feed-forward, packed side by side as gemm_nt_gated wants them.
template <Real S>
class PackedGatedWeight {
 public:
  PackedGatedWeight() = default;
  template <Executor E>
  PackedGatedWeight(const WeightView& gate, const WeightView& up, E& executor)
      : panels_(simd::GatedPanels<S>{gate, up}, executor), rows_(gate.rows), cols_(gate.cols) {}
  Index rows() const noexcept { return rows_; }
  Index cols() const noexcept { return cols_; }
  const simd::PackedPanels<S>& panels() const noexcept { return panels_; }

 private:
  simd::PackedPanels<S> panels_;
  Index rows_ = 0;
  Index cols_ = 0;
};

}  // namespace embedpool
