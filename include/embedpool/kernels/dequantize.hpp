#pragma once
#include <algorithm>
#include <cassert>

#include "embedpool/kernels/formats/iq4.hpp"
#include "embedpool/kernels/formats/k_quants.hpp"

namespace embedpool {

/// Decodes `count` values from consecutive blocks.
///
/// Requires  count is a multiple of info(format).block_values; `blocks` may have any alignment
template <Real S>
void decode_values(Format format, const std::byte* blocks, Index count, S* out) noexcept {
  const FormatInfo layout = info(format);
  assert(count % layout.block_values == 0);
  const auto each_value = [&]<class T>(T) {
    for (Index i = 0; i < count; ++i) out[i] = to_real<S>(formats::load<T>(blocks + i * Index(sizeof(T))));
  };
  // The decoder is a type of its own for each format, so that its loop is compiled into this one.
  const auto each_block = [&](auto decode) {
    for (Index i = 0; i < count; i += layout.block_values, blocks += layout.block_bytes) {
      if constexpr (std::same_as<S, float>) {
        decode(blocks, out + i);
      } else {
        float values[256];
        decode(blocks, values);
        std::copy(values, values + layout.block_values, out + i);
      }
    }
  };
  switch (format) {
    case Format::F64: return each_value(double{});
    case Format::F32: return each_value(float{});
    case Format::F16: {
      Index i = 0;
#ifdef __F16C__
      if constexpr (std::same_as<S, float>)
        for (; i + 8 <= count; i += 8)
          _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks + 2 * i))));
#endif
      for (; i < count; ++i) out[i] = static_cast<S>(formats::load_half(blocks + 2 * i));
      return;
    }
    case Format::BF16: return each_value(bf16{});
    case Format::Q4_0: return each_block([](auto... x) { formats::decode_q4_0(x...); });
    case Format::Q4_1: return each_block([](auto... x) { formats::decode_q4_1(x...); });
    case Format::Q5_0: return each_block([](auto... x) { formats::decode_q5_0(x...); });
    case Format::Q5_1: return each_block([](auto... x) { formats::decode_q5_1(x...); });
    case Format::Q8_0: return each_block([](auto... x) { formats::decode_q8_0(x...); });
    case Format::Q2_K: return each_block([](auto... x) { formats::decode_q2_k(x...); });
    case Format::Q3_K: return each_block([](auto... x) { formats::decode_q3_k(x...); });
    case Format::Q4_K: return each_block([](auto... x) { formats::decode_q4_k(x...); });
    case Format::Q5_K: return each_block([](auto... x) { formats::decode_q5_k(x...); });
    case Format::Q6_K: return each_block([](auto... x) { formats::decode_q6_k(x...); });
    case Format::IQ4_NL: return each_block([](auto... x) { formats::decode_iq4_nl(x...); });
    case Format::IQ4_XS: return each_block([](auto... x) { formats::decode_iq4_xs(x...); });
  }
}

/// Row n of W, all w.cols values.
template <Real S>
void decode_row(const WeightView& w, Index n, S* out) noexcept {
  decode_values(w.format, w.row(n), w.cols, out);
}

}  // namespace embedpool
