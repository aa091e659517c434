#pragma once
#include <vector>

#include "embedpool/model/lora_adapter.hpp"

namespace embedpool {

/// Gradients of what is trained in a decoder: the pairs of an adapter, and tensors of the base that are trained as such.
/// What has no entry here is frozen. Backward adds; the caller clears.
template <Real S>
struct DecoderGradients {
  struct Tensor {
    DecoderTensorPlace place;
    Matrix<S> value;  ///< vectors have one row
  };
  std::vector<LoraPair<S>> lora{};  ///< for each entry of the adapter, in its order; a pair without values is frozen
  std::vector<Tensor> base{};

  /// Zeros for every pair of an adapter, with a frozen base.
  static DecoderGradients of(const LoraAdapter<S>& adapter) {
    DecoderGradients gradients;
    for (const auto& [place, lora] : adapter.entries)
      gradients.lora.push_back({Matrix<S>::Zero(lora.a.rows(), lora.a.cols()), Matrix<S>::Zero(lora.b.rows(), lora.b.cols())});
    return gradients;
  }
  /// Zeros for every tensor of the base for which wanted(place) is true.
  template <class Wanted>
  void add_base(const DecoderConfig& config, const Wanted& wanted) {
    DecoderWeights<S> shell;  // only its structure is used
    for_each_tensor(shell, config, [&](const DecoderTensorPlace& place, auto&) {
      if (!wanted(place)) return;
      const auto [rows, cols] = tensor_shape(place.kind, config);
      base.push_back({place, Matrix<S>::Zero(rows, cols)});
    });
  }
  Matrix<S>* find(const DecoderTensorPlace& place) noexcept {
    for (Tensor& tensor : base)
      if (tensor.place == place) return &tensor.value;
    return nullptr;
  }
  void clear() noexcept {
    for (LoraPair<S>& pair : lora) pair.a.setZero(), pair.b.setZero();
    for (Tensor& tensor : base) tensor.value.setZero();
  }
};

}  // namespace embedpool
