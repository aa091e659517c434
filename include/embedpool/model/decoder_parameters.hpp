#pragma once
#include <memory>
#include <vector>

#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/model/decoder.hpp"

namespace embedpool {

/// The base weights of a decoder as matrices of S that may be changed: what a training of the base works on. Costs all
/// of them decoded; adapters need none of this.
template <Real S>
class DecoderParameters {
 public:
  struct Tensor {
    DecoderTensorPlace place;
    std::shared_ptr<Matrix<S>> value;  ///< vectors have one row
  };

  explicit DecoderParameters(const Decoder<S>& decoder) : config_(decoder.config()) {
    for_each_tensor(decoder.weights(), config_, [&](const DecoderTensorPlace& place, const auto& tensor) {
      const auto [rows, cols] = tensor_shape(place.kind, config_);
      auto value = std::make_shared<Matrix<S>>(rows, cols);
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
        for (Index n = 0; n < rows; ++n) decode_row(tensor, n, value->row(n).data());
      else
        std::copy(tensor.begin(), tensor.end(), value->data());
      tensors_.push_back({place, std::move(value)});
    });
  }

  const std::vector<Tensor>& tensors() const noexcept { return tensors_; }

  /// A decoder with the values of now: its matrices are these and change with them, its norms and biases are copies.
  Decoder<S> decoder() const {
    DecoderWeights<S> weights;
    std::size_t i = 0;
    for_each_tensor(weights, config_, [&](const DecoderTensorPlace&, auto& target) {
      const std::shared_ptr<Matrix<S>>& value = tensors_[i++].value;
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(target)>, WeightView>) {
        target = weight_view(rows_of(*value));
        weights.keep_alive.push_back(value);
      } else {
        target.assign(value->data(), value->data() + value->size());
      }
    });
    return {config_, std::move(weights)};
  }

 private:
  DecoderConfig config_;
  std::vector<Tensor> tensors_;
};

}  // namespace embedpool
