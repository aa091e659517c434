#pragma once
#include <cmath>

#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/packed_texts.hpp"
#include "embedpool/kernels/rotary_style.hpp"

namespace embedpool::cuda {

/// cos and sin of every position, [positions, d / 2], on a device, and which values turn together.
struct DeviceRotary {
  const float* cosine = nullptr;
  const float* sine = nullptr;
  RotaryStyle style = RotaryStyle::halves;
};

/// Lanes that share a head: 8 take 64 values of 16 bits in one 16-byte access each.
inline constexpr int lanes_a_head = 8;

/// Calls f(head, lane) with lane in [0, lanes_a_head) of each team of neighbouring lanes, until the heads are used up.
/// Every thread comes by equally often, so that f may exchange within a team; teams without a head get head = -1.
template <GridThread G, class F>
EMBEDPOOL_DEVICE void for_heads(const G& thread, Index heads, F&& f) {
  const int teams = thread.threads() / lanes_a_head;
  for (Index first = 0; first < heads; first += teams) {
    const Index head = first + thread.index() / lanes_a_head;
    f(head < heads ? head : Index(-1), thread.index() % lanes_a_head);
  }
}

/// Calls f(n, i) for the groups [i, i + n) of `count` values that fall to one lane of a team: n is an integral
/// constant, `group` when `groups`, else 1.
template <int group, class F>
EMBEDPOOL_DEVICE void for_lane_groups(int lane, Index count, bool groups, F&& f) {
  if (groups) {
    for (Index i = Index(lane) * group; i < count; i += lanes_a_head * group)
      f(std::integral_constant<int, group>{}, i);
  } else {
    for (Index i = lane; i < count; i += lanes_a_head) f(std::integral_constant<int, 1>{}, i);
  }
}

/// In place: RMSNorm of each head by itself, where there is a gain, then its rotation by the token's position: a pair
/// (a, b) becomes (a cos - b sin, a sin + b cos). With sign -1 the turn goes back, which is also its gradient. A block
/// for a row, its teams of eight lanes take heads in turn.
///
/// Shapes    x [texts.rows, heads d], gain [d] or null
/// Requires  d is even, and every text's positions are in the tables
/// Oracle    embedpool::head_norm, embedpool::rotate
template <DeviceElement T>
struct HeadNormRotary {
  static constexpr int threads = 64;
  Rows<T> x;
  Index heads;
  const float* gain;
  float epsilon;
  DeviceRotary rotary;
  PackedTexts texts;
  float sign = 1;

  LaunchShape launch_shape() const noexcept { return {x.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index row = thread.block(), head_dim = x.cols / heads, pairs = head_dim / 2;
    const Index position = texts.position(row);
    const float *const cosine = rotary.cosine + position * pairs, *const sine = rotary.sine + position * pairs;
    const bool groups =
        pairs % pairs_at_once == 0 && in_packs(x) && in_packs(gain) && in_packs(rotary.cosine) && in_packs(rotary.sine);
    for_heads(thread, heads, [&](Index head, int lane) {
      T* const values = x.row_data(row) + head * head_dim;
      const Index own_pairs = head >= 0 ? pairs : 0;
      float scale = 1;
      if (gain != nullptr) {
        float squares = 0;
        for_lane_groups<pairs_at_once>(lane, own_pairs, groups, [&](auto n, Index i) {
          const auto [a, b] = load_pairs<n>(static_cast<const T*>(values), i, pairs);
          for (std::size_t k = 0; k < n; ++k) squares += a[k] * a[k] + b[k] * b[k];
        });
        squares = warp_reduce<lanes_a_head>(thread, squares, Sum{});
        scale = 1.0f / std::sqrt(squares / static_cast<float>(head_dim) + epsilon);
      }
      for_lane_groups<pairs_at_once>(lane, own_pairs, groups, [&](auto n, Index i) {
        auto pair = load_pairs<n>(static_cast<const T*>(values), i, pairs);
        if (gain != nullptr) {
          const auto gains = load_pairs<n>(gain, i, pairs);
          for (std::size_t k = 0; k < n; ++k) {
            pair.a[k] *= scale * gains.a[k];
            pair.b[k] *= scale * gains.b[k];
          }
        }
        const auto c = load<n>(cosine + i), s = load<n>(sine + i);
        Pairs<n> turned;
        for (std::size_t k = 0; k < n; ++k) {
          turned.a[k] = pair.a[k] * c[k] - pair.b[k] * (sign * s[k]);
          turned.b[k] = pair.a[k] * (sign * s[k]) + pair.b[k] * c[k];
        }
        store_pairs(values, i, pairs, turned);
      });
    });
  }

 private:
  static constexpr int pairs_at_once = 4;  // 16 bytes of the float tables

  template <std::size_t n>
  struct Pairs {
    std::array<float, n> a, b;
  };

  /// Pairs [i, i + n) of a head, or of what lies beside a head.
  template <int n, DeviceElement V>
  EMBEDPOOL_DEVICE Pairs<n> load_pairs(const V* head, Index i, Index pairs) const {
    if (rotary.style == RotaryStyle::halves) return {load<n>(head + i), load<n>(head + pairs + i)};
    const auto low = load<n>(head + 2 * i), high = load<n>(head + 2 * i + n);
    Pairs<n> pair;
    for (std::size_t k = 0; k < n; ++k) {
      pair.a[k] = 2 * k < n ? low[2 * k] : high[2 * k - n];
      pair.b[k] = 2 * k + 1 < n ? low[2 * k + 1] : high[2 * k + 1 - n];
    }
    return pair;
  }
  template <std::size_t n>
  EMBEDPOOL_DEVICE void store_pairs(T* head, Index i, Index pairs, const Pairs<n>& pair) const {
    if (rotary.style == RotaryStyle::halves) {
      store(head + i, pair.a);
      store(head + pairs + i, pair.b);
      return;
    }
    std::array<float, n> low, high;
    for (std::size_t k = 0; k < n; ++k) {
      low[k] = k % 2 == 0 ? pair.a[k / 2] : pair.b[k / 2];
      high[k] = (n + k) % 2 == 0 ? pair.a[(n + k) / 2] : pair.b[(n + k) / 2];
    }
    store(head + 2 * i, low);
    store(head + 2 * i + static_cast<Index>(n), high);
  }
};

/// The way back through the norm of each head: with s = 1 / sqrt(mean(x^2) + eps),
///
///   dx_j = s gain_j dy_j - x_j s^3 / d sum over i of gain_i dy_i x_i
///
/// which replaces what dx held. Same plan as HeadNormRotary. rms_norm_gain_backward needs the `scales`.
///
/// Shapes  x (before the norm), dy, dx [N, heads d], dy and dx may be the same; gain [d]; scales [N heads] of s
///         or null
/// Oracle  embedpool::head_norm_backward
template <DeviceElement T>
struct HeadNormBackward {
  static constexpr int threads = 64;
  Rows<const T> x;
  Index heads;
  const float* gain;
  float epsilon;
  Rows<const T> dy;
  Rows<T> dx;
  float* scales = nullptr;

  LaunchShape launch_shape() const noexcept { return {x.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    constexpr int group = pack_size<T>;
    const Index row = thread.block(), head_dim = x.cols / heads;
    const bool groups = head_dim % group == 0 && in_packs(x) && in_packs(dy) && in_packs(dx) && in_packs(gain);
    for_heads(thread, heads, [&](Index head, int lane) {
      const T *const values = x.row_data(row) + head * head_dim, *const dout = dy.row_data(row) + head * head_dim;
      const Index count = head >= 0 ? head_dim : 0;
      float squares = 0, radial = 0;
      for_lane_groups<group>(lane, count, groups, [&](auto n, Index j) {
        const auto v = load<n>(values + j), d = load<n>(dout + j), g = load<n>(gain + j);
        for (std::size_t k = 0; k < n; ++k) {
          squares += v[k] * v[k];
          radial += g[k] * d[k] * v[k];
        }
      });
      squares = warp_reduce<lanes_a_head>(thread, squares, Sum{});
      radial = warp_reduce<lanes_a_head>(thread, radial, Sum{});
      const float size = static_cast<float>(head_dim);
      const float scale = 1.0f / std::sqrt(squares / size + epsilon);
      radial *= scale * scale * scale / size;
      if (scales != nullptr && head >= 0 && lane == 0) scales[row * heads + head] = scale;
      T* const to = dx.row_data(row) + head * head_dim;
      for_lane_groups<group>(lane, count, groups, [&](auto n, Index j) {
        const auto v = load<n>(values + j), g = load<n>(gain + j);
        auto d = load<n>(dout + j);
        for (std::size_t k = 0; k < n; ++k) d[k] = scale * g[k] * d[k] - radial * v[k];
        store(to + j, d);
      });
    });
  }
};

}  // namespace embedpool::cuda
