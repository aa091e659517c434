#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/packed_texts.hpp"

namespace embedpool::cuda {

/// The coins of one place in a batch: those of embedpool::Dropout to the bit.
struct DropoutCoins {
  std::uint64_t seed = 0;  ///< of (seed, step)
  Index first_text = 0;
  Index place = 0;
  std::int32_t least = 0;  ///< the lowest coin that keeps a value
  float kept = 1;          ///< what kept values are multiplied by
  PackedTexts texts{};

  /// Names the coins of a row.
  constexpr std::uint64_t key(Index row) const noexcept {
    return random_key(random_key(seed, first_text + texts.text_of_row[row], texts.position(row)), place);
  }
  constexpr float factor(std::uint64_t row_key, Index column) const noexcept {
    const auto coin = static_cast<std::int32_t>(random_word(row_key, static_cast<std::uint32_t>(column)) >> 1);
    return coin >= least ? kept : 0.0f;
  }
};

/// The dropout of one batch's rows, as embedpool::Dropout is on the host; the members are those of a DropoutKey.
struct DeviceDropout {
  double rate = 0;
  std::uint64_t seed = 0;
  Index step = 0;
  Index first_text = 0;
  PackedTexts texts{};

  bool active() const noexcept { return rate > 0; }
  DropoutCoins at(Index place) const noexcept {
    const double coins = std::ldexp(1.0, 31);  // coins have 31 bits
    return {random_key(seed, step),
            first_text,
            place,
            static_cast<std::int32_t>(std::min(std::round(rate * coins), coins - 1)),
            static_cast<float>(1.0 / (1.0 - rate)),
            texts};
  }
};

/// out = x with dropped values 0 and the others divided by 1 - rate. A block for a row.
///
/// Shapes  x, out [N, D] (may be the same)
/// Oracle  embedpool::Dropout::forward
template <DeviceElement T>
struct DropoutForward {
  static constexpr int threads = 128;
  Rows<const T> x;
  DropoutCoins coins;
  Rows<T> out;

  LaunchShape launch_shape() const noexcept { return {x.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = x.row_data(thread.block());
    T* const to = out.row_data(thread.block());
    const std::uint64_t key = coins.key(thread.block());
    for_columns<T>(thread, x.cols, in_packs(x) && in_packs(out), [&](auto n, Index j) {
      auto values = load<n>(from + j);
      for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] *= coins.factor(key, j + i);
      store(to + j, values);
    });
  }
};

/// dx += the gradient through DropoutForward, given that of its output. A block for a row.
///
/// Shapes  dy, dx [N, D]
/// Oracle  embedpool::Dropout::backward
template <DeviceElement T, DeviceElement U = T>
struct DropoutBackward {
  static constexpr int threads = 128;
  Rows<const T> dy;
  DropoutCoins coins;
  Rows<U> dx;

  LaunchShape launch_shape() const noexcept { return {dy.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = dy.row_data(thread.block());
    U* const to = dx.row_data(thread.block());
    const std::uint64_t key = coins.key(thread.block());
    for_columns<Wider<T, U>>(thread, dx.cols, in_packs(dy) && in_packs(dx), [&](auto n, Index j) {
      const auto values = load<n>(from + j);
      auto sums = load<n>(static_cast<const U*>(to + j));
      for (int i = 0; i < n; ++i)
        sums[static_cast<std::size_t>(i)] += coins.factor(key, j + i) * values[static_cast<std::size_t>(i)];
      store(to + j, sums);
    });
  }
};

}  // namespace embedpool::cuda
