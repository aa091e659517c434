#pragma once
#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/kernels/panels.hpp"

namespace embedpool::simd {

/// Panels of any source, made once and kept: a source itself.
template <Operand T>
class PackedPanels {
 public:
  PackedPanels() = default;
  template <class Source, Executor E>
  PackedPanels(const Source& source, E& executor) : count_(source.count()), depth_(source.depth()) {
    const Index size = depth_ * Tile<T>::width, group = source.group();
    values_.reserve((count_ + group - 1) / group * group * size);  // the last group may have panels beyond the last
    executor.parallel_for((count_ + group - 1) / group, [&](Index job, Index) {
      source.fetch(job * group, 0, depth_, values_.data() + job * group * size);
    });
  }
  Index count() const noexcept { return count_; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return depth_; }
  PanelView<T> fetch(Index panel, Index k, Index, T*) const noexcept {
    return {values_.data() + (panel * depth_ + k) * Tile<T>::width, 0};
  }

 private:
  AlignedBuffer<T> values_;
  Index count_ = 0;
  Index depth_ = 0;
};

}  // namespace embedpool::simd
