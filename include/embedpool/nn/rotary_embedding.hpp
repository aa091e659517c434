#pragma once
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

/// Turns the heads of the selected tokens, each by its token's position in its text: `rotate` for pruned rows.
///
/// Shapes  x [selection.rows(), heads d], packed by the selection
template <Real S, Executor E>
void rotate_selected(Rows<S> x, Index heads, const Segments& segments, const RowSelection& selection,
                     const RotaryTable<S>& table, RotaryStyle style, E& executor) {
  executor.parallel_for(segments.size(), [&](Index b, Index) {
    const Interval held = selection.held(b);
    for (Index t = held.begin; t < held.end; ++t)
      rotate_row(x.row_data(selection.first_row(b) + t - held.begin), heads, t, table, style);
  });
}

}  // namespace embedpool
