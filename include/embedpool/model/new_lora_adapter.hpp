#pragma once
#include <cmath>
#include <set>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/model/lora_adapter.hpp"

namespace embedpool {

/// Which linear maps of a decoder get a LoRA pair, and how large.
struct LoraOptions {
  Index rank = 16;
  double alpha = 32;
  bool rank_stabilised = false;  ///< scale alpha / sqrt(r) in place of alpha / r
  std::set<DecoderTensor> targets{DecoderTensor::query, DecoderTensor::key, DecoderTensor::value, DecoderTensor::output,
                                  DecoderTensor::gate, DecoderTensor::up, DecoderTensor::down};
  Index first_layer = 0;         ///< blocks below this one (from 0) stay as they are
  std::uint64_t seed = 0;
};

/// An adapter that changes nothing yet: A uniform in +-1 / sqrt(in), B zero.
///
/// Errors  ShapeError for a rank below 1, or when no map of the model is chosen
/// Source  PEFT: A as a linear layer starts (Kaiming uniform with a = sqrt(5))
template <Real S>
LoraAdapter<S> new_lora_adapter(const DecoderConfig& config, const LoraOptions& options) {
  require_in("LoRA", "rank", options.rank, 1, Index(1) << 16);
  const double rank = static_cast<double>(options.rank);
  const auto scale = static_cast<S>(options.alpha / (options.rank_stabilised ? std::sqrt(rank) : rank));
  LoraAdapter<S> adapter;
  DecoderWeights<S> shell;  // only its structure is used
  for_each_tensor(shell, config, [&](const DecoderTensorPlace& place, auto&) {
    if (!options.targets.contains(place.kind) || place.layer < options.first_layer) return;
    const auto [rows, cols] = tensor_shape(place.kind, config);
    Matrix<S> a(options.rank, cols);
    const std::uint64_t key = random_key(options.seed, adapter.entries.size());
    const double bound = 1.0 / std::sqrt(static_cast<double>(cols));
    for (Index i = 0; i < a.size(); ++i) {
      const double unit = std::ldexp(static_cast<double>(random_word(key, static_cast<std::uint32_t>(i))), -32);
      a.data()[i] = static_cast<S>(bound * (2 * unit - 1));
    }
    adapter.entries.push_back({place, {std::move(a), Matrix<S>::Zero(rows, options.rank), scale}});
  });
  if (adapter.entries.empty()) throw ShapeError("LoRA: no map of this model is chosen");
  return adapter;
}

}  // namespace embedpool
