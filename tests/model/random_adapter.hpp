#pragma once
#include <random>

#include "embedpool/model/lora_adapter.hpp"

namespace embedpool::test {

/// A LoRA pair on every matrix of the blocks from `from_layer` (from 0) on.
template <Real S>
LoraAdapter<S> random_adapter(const DecoderConfig& config, Index rank, double b_deviation = 0.3, Index from_layer = 0) {
  std::mt19937 generator(9);
  std::normal_distribution<double> normal;
  const auto random = [&](Index rows, Index cols, double deviation) {
    Matrix<S> m(rows, cols);
    for (Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<S>(deviation * normal(generator));
    return m;
  };
  LoraAdapter<S> adapter;
  DecoderWeights<S> shell;
  for_each_tensor(shell, config, [&](const DecoderTensorPlace& place, auto& tensor) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) {
      if (place.layer < from_layer) return;
      const auto [rows, cols] = tensor_shape(place.kind, config);
      adapter.entries.push_back({place, {random(rank, cols, 0.5), random(rows, rank, b_deviation), S(0.7)}});
    }
  });
  return adapter;
}

}  // namespace embedpool::test
