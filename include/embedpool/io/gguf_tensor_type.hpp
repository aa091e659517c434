#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "embedpool/kernels/weight.hpp"

namespace embedpool::io {

/// A tensor type of GGUF files: a block of `block_values` values takes `block_bytes` bytes. `format` is set where the
/// kernels can decode it.
struct GgufTensorType {
  std::uint32_t number;
  std::string_view name;
  Index block_values;
  Index block_bytes;
  std::optional<Format> format{};
};

namespace detail {
constexpr GgufTensorType decodable(std::uint32_t number, Format format) noexcept {
  return {number, info(format).name, info(format).block_values, info(format).block_bytes, format};
}
}  // namespace detail

/// The type of that number; null for numbers that are not known. Source: enum ggml_type of ggml-org/ggml.
inline const GgufTensorType* find_gguf_tensor_type(std::uint32_t number) noexcept {
  using detail::decodable;
  static constexpr GgufTensorType types[] = {
      decodable(0, Format::F32),      decodable(1, Format::F16),     decodable(2, Format::Q4_0),
      decodable(3, Format::Q4_1),     decodable(6, Format::Q5_0),    decodable(7, Format::Q5_1),
      decodable(8, Format::Q8_0),     decodable(10, Format::Q2_K),   decodable(11, Format::Q3_K),
      decodable(12, Format::Q4_K),    decodable(13, Format::Q5_K),   decodable(14, Format::Q6_K),
      decodable(20, Format::IQ4_NL),  decodable(23, Format::IQ4_XS), decodable(28, Format::F64),
      decodable(30, Format::BF16),    {15, "Q8_K", 256, 292},        {16, "IQ2_XXS", 256, 66},
      {17, "IQ2_XS", 256, 74},        {18, "IQ3_XXS", 256, 98},      {19, "IQ1_S", 256, 50},
      {21, "IQ3_S", 256, 110},        {22, "IQ2_S", 256, 82},        {24, "I8", 1, 1},
      {25, "I16", 1, 2},              {26, "I32", 1, 4},             {27, "I64", 1, 8},
      {29, "IQ1_M", 256, 56},         {34, "TQ1_0", 256, 54},        {35, "TQ2_0", 256, 66},
      {39, "MXFP4", 32, 17}};
  const auto* found = std::find_if(std::begin(types), std::end(types), [&](const auto& t) { return t.number == number; });
  return found == std::end(types) ? nullptr : found;
}

}  // namespace embedpool::io
