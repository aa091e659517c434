#pragma once
#include <string>
#include <type_traits>
#include <utility>

#include "embedpool/io/tensor.hpp"
#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/model/decoder.hpp"

namespace embedpool::io {

/// Builds a decoder from a config and the tensors of a file: matrices stay where they are mapped, norms and biases are
/// decoded. `find(place)` gives the tensor at a place of the model; `gain_offset` is added to the gains of norms (1 for
/// Gemma checkpoints, which store gain - 1).
///
/// Errors  FileError naming file, tensor and cause: missing, another shape, a type that kernels do not know
template <Real S, class Find>
Decoder<S> assemble_decoder(const DecoderConfig& config, S gain_offset, Find&& find) {
  DecoderWeights<S> weights;
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& target) {
    const Tensor& tensor = find(place);
    const auto [rows, cols] = tensor_shape(place.kind, config);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(target)>, WeightView>) {
      tensor.require_shape({rows, cols});
      target = tensor.weight();
      if (weights.keep_alive.empty() || weights.keep_alive.back() != tensor.owner)
        weights.keep_alive.push_back(tensor.owner);
    } else {
      tensor.require_shape({cols});
      target.resize(static_cast<std::size_t>(cols));
      decode_row(tensor.weight(), 0, target.data());
      if (is_norm(place.kind))
        for (S& gain : target) gain += gain_offset;
    }
  });
  return {config, std::move(weights)};
}

}  // namespace embedpool::io
