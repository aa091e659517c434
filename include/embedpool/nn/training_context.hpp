#pragma once
#include "embedpool/attention/mask.hpp"
#include "embedpool/kernels/rotary.hpp"
#include "embedpool/nn/dropout.hpp"

namespace embedpool {

/// What a block's training pass needs to know of the batch. `held` are the tokens that the block's input has a row of: all,
/// or without those that a text shares with the first one. `queries` are the tokens of these whose states are wanted after
/// the block; with fewer, the maps behind the attention and the queries see only those.
template <Real S, MaskPolicy M>
struct TrainingContext {
  const M& mask;
  const Segments& segments;
  const RowSelection& held;
  const RowSelection& queries;
  const RotaryTable<S>& rotary;
  const Dropout& every_token;  ///< coins of the maps that see every token in `held`: key and value
  const Dropout& asking;       ///< coins of the maps that see the tokens in `queries`

  bool pruned() const noexcept { return queries.rows() < held.rows(); }
};

}  // namespace embedpool
