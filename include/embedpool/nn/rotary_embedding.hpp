#pragma once
#include <algorithm>
#include <vector>

#include "embedpool/core/layer_states.hpp"
#include "embedpool/kernels/norm.hpp"
#include "embedpool/kernels/rotary.hpp"

namespace embedpool {

/// RMSNorm over each head by itself, in place, every head with the same gain: q and k of Qwen3, before the rotation.
///
/// Shapes  x [N, heads d], gain [d]
template <Real S, Executor E>
void head_norm(Rows<S> x, Index heads, const std::vector<S>& gain, S epsilon, E& executor) {
  const auto head_dim = static_cast<Index>(gain.size());
  for_each_row(x.rows, executor, [&](Index i) {
    for (Index h = 0; h < heads; ++h) {
      S* const head = x.row_data(i) + h * head_dim;
      rms_norm_row(std::span<const S>(head, gain.size()), gain.data(), epsilon, head);
    }
  });
}

/// Turns the heads of the selected tokens, each by its token's position in its text; with sign -1 back again, which is
/// also the way back of a gradient: a rotation's transpose is the rotation by the opposite angle.
///
/// Shapes  x [selection.rows(), heads d], packed by the selection
template <Real S, Executor E>
void rotate(Rows<S> x, Index heads, const RowSelection& selection, const RotaryTable<S>& table, RotaryStyle style,
            E& executor, S sign = S(1)) {
  constexpr Index rows_a_job = 16;
  executor.parallel_for((x.rows + rows_a_job - 1) / rows_a_job, [&](Index job, Index) {
    const Index first = job * rows_a_job, end = std::min(x.rows, first + rows_a_job);
    Index b = selection.text_of(first);
    for (Index row = first; row < end; ++row) {
      while (row >= selection.first_row(b) + selection.held(b).size()) ++b;
      rotate_row(x.row_data(row), heads, selection.held(b).begin + row - selection.first_row(b), table, style, sign);
    }
  });
}

}  // namespace embedpool
