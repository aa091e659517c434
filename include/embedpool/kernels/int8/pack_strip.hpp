#pragma once
#include <algorithm>
#include <cstring>

#include "embedpool/kernels/int8/int8_record.hpp"

namespace embedpool::simd {

#ifdef EMBEDPOOL_BYTE_REGISTERS

/// One register's worth of rows, `lanes` columns of a panel that holds integers as `held` says: blocks [0, blocks) of
/// 32 values, from block `sub` of the storage blocks that rows[i] point at on. The rows at `ahead` are asked for in the
/// meantime: rows are too short for the machine to foresee the next.
template <Format F>
void pack_strip(const std::byte* const (&rows)[lanes<float>], const std::byte* ahead, Index sub, Index blocks,
                int8::IntegerFormat held, std::byte* out) noexcept {
  constexpr FormatInfo layout = info(F);
  const Int8Record record(held.bits);
  constexpr Index subs = layout.block_values / int8::block_values, pitch = Int8Record::width * 4;
  constexpr int count = static_cast<int>(lanes<float>);
  for (Index b = 0; b < blocks; ++b, out += record.bytes()) {
    const Index place = (sub + b) / subs * layout.block_bytes;
    if ((sub + b) % subs == 0)
      for (Index byte = 0; byte < lanes<float> * layout.block_bytes; byte += 64)
        __builtin_prefetch(ahead + place * lanes<float> + byte);
    auto* scales = reinterpret_cast<float*>(out + record.scales_place());
    float* offsets = scales + Int8Record::width;
    Bytes words[2][4];
    if constexpr (F == Format::Q4_0 || F == Format::Q4_1) {
      // Four bytes hold the nibbles of two words of bytes: they are put in order before they are taken apart.
      constexpr Index header = F == Format::Q4_0 ? 2 : 4;
      transpose_words([&](int i) { return formats::load_16_bytes(rows[i] + place + header); }, words[0]);
      const Bytes shift = every_byte(held.zero - int8::integer_format(F).zero);
      for (int j = 0; j < 4; ++j) {
        words[1][j] = add_each_byte(high_nibbles(words[0][j]), shift);
        words[0][j] = add_each_byte(and_bits(words[0][j], every_byte(15)), shift);
      }
      Bytes heads[4];
      transpose_words([&](int i) { return formats::load_16_bytes(rows[i] + place); }, heads);
      low_halves(heads[0]).store_aligned(scales);
      if (F == Format::Q4_1)
        low_halves(shift_down_half(heads[0])).store_aligned(offsets);
      else
        Vector<float>(0.0f).store_aligned(offsets);
    } else {
      __m128i q[2][count];
      for (int i = 0; i < count; ++i) {
        const formats::UnpackedValues values = formats::unpack<F>(rows[i] + place, static_cast<int>((sub + b) % subs));
        q[0][i] = values.q[0], q[1][i] = values.q[1];
        scales[i] = values.scale[0], offsets[i] = values.offset[0];
      }
      for (int part = 0; part < 2; ++part) {
        transpose_words([&](int i) { return q[part][i]; }, words[part]);
        for (int j = 0; j < 4; ++j) words[part][j] = add_each_byte(words[part][j], every_byte(held.zero));
      }
    }
    for (int j = 0; j < 8; ++j) {
      const Bytes u = words[j / 4][j % 4];
      if (record.planes == 1) {
        store_bytes(out + j * pitch, u);
      } else {
        store_bytes(out + j * pitch, and_bits(u, every_byte(15)));
        store_bytes(out + Int8Record::plane_bytes() + j * pitch, high_nibbles(u));
      }
    }
  }
}
inline void pack_strip(Format format, const std::byte* const (&rows)[lanes<float>], const std::byte* ahead, Index sub,
                       Index blocks, int8::IntegerFormat held, std::byte* out) noexcept {
  switch (format) {
    case Format::Q4_0: return pack_strip<Format::Q4_0>(rows, ahead, sub, blocks, held, out);
    case Format::Q4_1: return pack_strip<Format::Q4_1>(rows, ahead, sub, blocks, held, out);
    case Format::Q5_0: return pack_strip<Format::Q5_0>(rows, ahead, sub, blocks, held, out);
    case Format::Q5_1: return pack_strip<Format::Q5_1>(rows, ahead, sub, blocks, held, out);
    case Format::Q8_0: return pack_strip<Format::Q8_0>(rows, ahead, sub, blocks, held, out);
    case Format::Q4_K: return pack_strip<Format::Q4_K>(rows, ahead, sub, blocks, held, out);
    case Format::Q5_K: return pack_strip<Format::Q5_K>(rows, ahead, sub, blocks, held, out);
    case Format::IQ4_NL: return pack_strip<Format::IQ4_NL>(rows, ahead, sub, blocks, held, out);
    default: return pack_strip<Format::IQ4_XS>(rows, ahead, sub, blocks, held, out);
  }
}

#endif

/// Writes rows [first, first + count) of W, blocks of 32 values [block, block + blocks), as columns [column, column +
/// count) of consecutive records, integers as `held` says. Rows beyond the last are copies of it: nobody reads their
/// sums.
///
/// Requires  int8_supports(w.format); count and column are multiples of lanes
inline void pack_integers(const WeightView& w, Index first, Index count, Index block, Index blocks,
                          int8::IntegerFormat held, Index column, std::byte* out) noexcept {
#ifdef EMBEDPOOL_BYTE_REGISTERS
  const FormatInfo layout = info(w.format);
  const Index subs = layout.block_values / int8::block_values;
  for (Index strip = 0; strip < count; strip += lanes<float>) {
    const std::byte* rows[lanes<float>];
    for (Index i = 0; i < lanes<float>; ++i)
      rows[i] = w.row(std::min(first + strip + i, w.rows - 1)) + block / subs * layout.block_bytes;
    // Columns are four bytes apart in the bytes and in the factors behind them alike.
    const Index next = first + strip + lanes<float>;
    const std::byte* ahead = w.row(next < w.rows ? next : 0);
    pack_strip(w.format, rows, ahead, block % subs, blocks, held, out + 4 * (column + strip));
  }
#else
  const Int8Record record(held.bits);
  for (Index b = 0; b < blocks; ++b, out += record.bytes())
    for (Index i = 0; i < count; ++i) {
      const int8::IntegerBlock values = int8::read_integers(w, std::min(first + i, w.rows - 1), block + b);
      std::int16_t wide[int8::block_values];
      std::copy(values.q, values.q + int8::block_values, wide);
      for (Index k = 0; k < int8::block_values; k += 2)
        std::memcpy(out + (k / 2 * Int8Record::width + column + i) * 4, wide + k, 4);
      auto* scales = reinterpret_cast<float*>(out + record.scales_place());
      scales[column + i] = values.scale;
      scales[Int8Record::width + column + i] = values.offset;
    }
#endif
}

}  // namespace embedpool::simd
