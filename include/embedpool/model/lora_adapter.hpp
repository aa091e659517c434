#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "embedpool/model/decoder.hpp"
#include "embedpool/nn/lora.hpp"

namespace embedpool {

/// LoRA pairs for some of a decoder's linear maps, rows in the order of Hugging Face checkpoints.
template <Real S>
struct LoraAdapter {
  struct Entry {
    DecoderTensorPlace place;
    LoraPair<S> lora;
  };
  std::vector<Entry> entries{};
};

/// Row n of a q or k matrix stored for interleaved rotation is this row of the same matrix stored for halves: in each
/// head, row 2 i is row i and row 2 i + 1 is row i + d/2.
constexpr Index row_for_halves(Index n, Index head_dim) noexcept {
  const Index head = n / head_dim, within = n % head_dim;
  return head * head_dim + within / 2 + (within % 2) * (head_dim / 2);
}

namespace detail {

/// The pair with the rows of B in the order in which this decoder stores the rows of W.
template <Real S>
LoraPair<S> in_stored_order(const LoraPair<S>& lora, DecoderTensor kind, const DecoderConfig& config) {
  const bool rotated = kind == DecoderTensor::query || kind == DecoderTensor::key;
  if (!rotated || config.rotary_style == RotaryStyle::halves) return lora;
  LoraPair<S> stored = lora;
  for (Index n = 0; n < lora.b.rows(); ++n) stored.b.row(n) = lora.b.row(row_for_halves(n, config.head_dim));
  return stored;
}

}  // namespace detail

/// The decoder with the adapter merged in: changed matrices are held as S, all others stay where they are.
///
/// Errors  ShapeError naming the tensor: a pair that does not fit, a tensor that this model has not
template <Real S>
Decoder<S> merged(const Decoder<S>& decoder, const LoraAdapter<S>& adapter) {
  const DecoderConfig& config = decoder.config();
  DecoderWeights<S> weights = decoder.weights();
  for (const auto& [place, lora] : adapter.entries) {
    WeightView* target = nullptr;
    for_each_tensor(weights, config, [&, &wanted = place](const DecoderTensorPlace& here, auto& tensor) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
        if (here == wanted) target = &tensor;
    });
    const std::string where = "LoRA: " + describe(place);
    if (target == nullptr) throw ShapeError(where + " is no matrix of this model");
    require_equal(where, "columns of A", lora.a.cols(), target->cols);
    require_equal(where, "rows of B", lora.b.rows(), target->rows);
    require_equal(where, "rank of B", lora.b.cols(), lora.a.rows());
    auto sum = std::make_shared<Matrix<S>>(merged_weight(*target, detail::in_stored_order(lora, place.kind, config)));
    *target = weight_view(rows_of(*sum));
    weights.keep_alive.push_back(std::move(sum));
  }
  return {config, std::move(weights)};
}

}  // namespace embedpool
