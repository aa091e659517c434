#pragma once
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "embedpool/io/decoder_tensor_names.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/model/lora_adapter.hpp"

namespace embedpool::io {

namespace detail {

/// Writes reals as F32, BF16 or F16, rounded to nearest, ties to even.
class RealEncoder {
 public:
  /// Errors: ShapeError for another format.
  explicit RealEncoder(Format format) : format_(format) {
    if (format != Format::F32 && format != Format::BF16 && format != Format::F16)
      throw ShapeError("model writer: the type must be F32, BF16 or F16, got " + std::string(info(format).name));
  }

  /// Errors: ShapeError naming the tensor when a finite value leaves the range of F16.
  template <Real S>
  std::span<const std::byte> operator()(std::span<const S> values, const std::string& name) {
    bytes_.resize(values.size() * static_cast<std::size_t>(info(format_).block_bytes));
    std::byte* out = bytes_.data();
    const auto put = [&](auto value) {
      std::memcpy(out, &value, sizeof value);
      out += sizeof value;
    };
    for (const S real : values) {
      const auto value = static_cast<float>(real);
      if (format_ == Format::F32) put(value);
      if (format_ == Format::BF16) put(to_bf16(value).bits);
      if (format_ != Format::F16) continue;
      const f16 half = to_f16(value);
      if (std::isfinite(value) && !std::isfinite(to_float(half)))
        throw ShapeError("model writer: " + name + " holds " + std::to_string(value) +
                         ", beyond the range of F16; take F32 or BF16");
      put(half.bits);
    }
    return bytes_;
  }

 private:
  Format format_;
  std::vector<std::byte> bytes_;
};

/// Whether a decoder with interleaved rotation stores the rows of this tensor in another order than Hugging Face.
inline bool is_permuted(DecoderTensor kind, const DecoderConfig& config) noexcept {
  using T = DecoderTensor;
  return config.rotary_style == RotaryStyle::interleaved &&
         (kind == T::query || kind == T::key || kind == T::query_bias || kind == T::key_bias);
}

/// Errors: ShapeError as `merged` has them, before anything is written.
template <Real S>
void require_fitting(const LoraAdapter<S>& adapter, const Decoder<S>& decoder) {
  for (const auto& [place, lora] : adapter.entries) {
    const std::string where = "LoRA: " + describe(place);
    bool found = false;
    for_each_tensor(decoder.weights(), decoder.config(), [&, &wanted = place](const DecoderTensorPlace& here, auto& tensor) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) found |= here == wanted;
    });
    if (!found) throw ShapeError(where + " is no matrix of this model");
    const auto [rows, cols] = tensor_shape(place.kind, decoder.config());
    require_equal(where, "columns of A", lora.a.cols(), cols);
    require_equal(where, "rows of B", lora.b.rows(), rows);
    require_equal(where, "rank of B", lora.b.cols(), lora.a.rows());
  }
}

/// W with its pairs of every adapter, one after the other; `sum` holds it where there are any.
template <Real S>
WeightView with_adapters(WeightView w, const DecoderTensorPlace& place, const DecoderConfig& config,
                         std::span<const LoraAdapter<S>> adapters, Matrix<S>& sum) {
  for (const LoraAdapter<S>& adapter : adapters)
    for (const auto& entry : adapter.entries) {
      if (!(entry.place == place)) continue;
      sum = Matrix<S>(merged_weight(w, embedpool::detail::in_stored_order(entry.lora, place.kind, config)));
      w = weight_view(rows_of(sum));
    }
  return w;
}

}  // namespace detail

/// Row n of a q or k matrix stored for halves is this row of the same matrix stored for interleaved rotation: the inverse
/// of row_for_halves.
constexpr Index row_for_interleaved(Index n, Index head_dim) noexcept {
  const Index head = n / head_dim, within = n % head_dim, half = head_dim / 2;
  return head * head_dim + (within < half ? 2 * within : 2 * (within - half) + 1);
}

/// Writes a decoder's tensors as one safetensors file of a Hugging Face checkpoint, whole or not at all: the names of the
/// bare model (without `model.` in front), every value decoded to `format`, the rows of q and k in the order for halves,
/// norms as gains less `gain_offset` (1 for Gemma). Pairs of `adapters` are added to their matrices, in order. What a
/// decoder does not hold (`lm_head`) is not there: the configuration beside it has to tie the embeddings.
///
/// Errors  ShapeError naming the tensor: pairs that do not fit, a value that F16 cannot hold; FileError with the
///         system's reason
/// Cost    one matrix of S beyond the decoder, whatever its format
template <Real S>
void write_hugging_face_weights(const Decoder<S>& decoder, std::span<const LoraAdapter<S>> adapters, S gain_offset,
                                Format format, const std::filesystem::path& path) {
  const DecoderConfig& config = decoder.config();
  for (const LoraAdapter<S>& adapter : adapters) detail::require_fitting(adapter, decoder);
  detail::RealEncoder encode(format);
  SafetensorsWriter writer;
  writer.add_metadata("format", "pt");
  const auto add = [&](const std::string& name, const std::vector<Index>& shape, auto make) {
    writer.add_made(name, std::string(info(format).name), static_cast<std::size_t>(info(format).block_bytes), shape,
                    std::move(make));
  };
  for_each_tensor(decoder.weights(), config, [&](const DecoderTensorPlace& place, const auto& tensor) {
    const std::string name = hugging_face_name(place);
    const bool permuted = detail::is_permuted(place.kind, config);
    const auto stored_row = [=, d = config.head_dim](Index n) { return permuted ? row_for_interleaved(n, d) : n; };
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) {
      add(name, {tensor.rows, tensor.cols}, [=, &tensor, &encode, &config](const SafetensorsWriter::Sink& sink) {
        Matrix<S> sum;
        const WeightView w = detail::with_adapters(tensor, place, config, adapters, sum);
        std::vector<S> row(static_cast<std::size_t>(w.cols));
        for (Index n = 0; n < w.rows; ++n) {
          decode_row(w, stored_row(n), row.data());
          sink(encode(std::span<const S>(row), name));
        }
      });
    } else {
      add(name, {static_cast<Index>(tensor.size())}, [=, &tensor, &encode](const SafetensorsWriter::Sink& sink) {
        std::vector<S> values(tensor.size());
        for (std::size_t n = 0; n < values.size(); ++n) {
          values[n] = tensor[static_cast<std::size_t>(stored_row(static_cast<Index>(n)))];
          if (is_norm(place.kind)) values[n] -= gain_offset;
        }
        sink(encode(std::span<const S>(values), name));
      });
    }
  });
  writer.write(path);
}

}  // namespace embedpool::io
