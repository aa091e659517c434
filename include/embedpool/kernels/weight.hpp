#pragma once
#include <cassert>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "embedpool/core/rows.hpp"

namespace embedpool {

/// How a weight matrix rests in memory. Blocks of quantised formats lie along a row. F64 serves gradient checks.
enum class Format : unsigned char {
  F64,
  F32,
  F16,
  BF16,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ4_NL,
  IQ4_XS
};

/// One format's name, and how many values a block of how many bytes holds.
struct FormatInfo {
  std::string_view name;
  Index block_values;
  Index block_bytes;
};

namespace detail {
inline constexpr FormatInfo format_table[] = {
    {"F64", 1, 8},      {"F32", 1, 4},      {"F16", 1, 2},      {"BF16", 1, 2},
    {"Q4_0", 32, 18},   {"Q4_1", 32, 20},   {"Q5_0", 32, 22},   {"Q5_1", 32, 24},
    {"Q8_0", 32, 34},   {"Q2_K", 256, 84},  {"Q3_K", 256, 110}, {"Q4_K", 256, 144},
    {"Q5_K", 256, 176}, {"Q6_K", 256, 210}, {"IQ4_NL", 32, 18}, {"IQ4_XS", 256, 136}};
}  // namespace detail

/// Sizes as ggml lays the blocks out.
constexpr const FormatInfo& info(Format format) noexcept {
  return detail::format_table[static_cast<unsigned char>(format)];
}

/// A weight matrix W [rows, cols] = [out, in] in somebody's memory (a mapped file, say), used from there.
///
/// Requires  cols is a multiple of the format's block; data holds rows * row_bytes() bytes, of any alignment
struct WeightView {
  const std::byte* data = nullptr;
  Format format = Format::F32;
  Index rows = 0;
  Index cols = 0;

  constexpr Index row_bytes() const noexcept { return cols / info(format).block_values * info(format).block_bytes; }
  constexpr const std::byte* row(Index n) const noexcept { return data + n * row_bytes(); }
};

/// A matrix of reals in memory as the products take it. Requires: rows without gaps between them
template <class T>
WeightView weight_view(Rows<T> w) noexcept {
  assert(w.rows <= 1 || w.stride == w.cols);
  const bool is_double = std::is_same_v<std::remove_const_t<T>, double>;
  return {reinterpret_cast<const std::byte*>(w.data), is_double ? Format::F64 : Format::F32, w.rows, w.cols};
}

}  // namespace embedpool
