#pragma once
#include "embedpool/cuda/device.hpp"
#include "embedpool/cuda/kernels/attention_fragments.cuh"
#include "embedpool/cuda/kernels/experts/expert_places.cuh"
#include "embedpool/cuda/kernels/heads/tile_product.cuh"

namespace embedpool::cuda {

/// The linear maps of all experts in one launch: out = x W_e^T, row by row with the expert e that its slot belongs to.
///
/// Shapes  x [places, K] by slots, weights [experts N, K] one expert's below the other's, out [places, N]
template <DeviceElement T, DeviceElement U>
struct ExpertProduct {
  static constexpr int rows = 64;  ///< of a tile
  Rows<const T> x;
  Rows<const T> weights;
  const std::int32_t* first_slot;  ///< [experts + 1]
  Index experts;
  Rows<U> out;

  /// As many tiles of rows as there can be, whatever the routing: full ones, and one begun for each expert.
  constexpr Index row_tiles() const noexcept { return x.rows / rows + (experts < x.rows ? experts : x.rows); }

  struct Slots {
    Index expert, first;
    int count;  ///< 0: there is no such tile
  };
  /// Tile `tile` of those that there are, expert by expert.
  EMBEDPOOL_DEVICE Slots slots(Index tile) const {
    for (Index e = 0; e < experts; ++e) {
      const Index begin = first_slot[e], count = first_slot[e + 1] - begin, tiles = divide_up(count, rows);
      if (tile < tiles) {
        const Index left = count - tile * rows;
        return {e, begin + tile * rows, static_cast<int>(left < rows ? left : rows)};
      }
      tile -= tiles;
    }
    return {0, 0, 0};
  }
};

/// Experts' products in tiles on tensor cores: a block for 64 rows of an expert and 128 columns, a warp for 16 of the rows.
/// Steps of 64 inner columns come through two buffers in shared memory, the next copied while this one is multiplied.
///
/// Requires  T of 16 bits, K a multiple of 8
/// Oracle    the definition
template <DeviceElement T, DeviceElement U>
struct TileExpertProduct {
  static constexpr int threads = tile_threads;
  static constexpr int columns = 128, depth = 64, rows = ExpertProduct<T, U>::rows;
  static constexpr Index stage_bytes = SharedTile<depth>::bytes(rows + columns);
  ExpertProduct<T, U> of;

  LaunchShape launch_shape() const noexcept {
    return {of.row_tiles() * divide_up(of.out.cols, columns), 2 * stage_bytes};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const auto slots = of.slots(thread.block() % of.row_tiles());
    if (slots.count == 0) return;  // the whole block
    const Index column = thread.block() / of.row_tiles() * columns, left = of.out.cols - column;
    const int used = static_cast<int>(left < columns ? left : columns), row = thread.warp() * 16;
    // What is left of both sides, as one wide head each: from the next step's first column on.
    auto left_rows = head_rows(of.x, slots.first, slots.count, 0, static_cast<int>(of.x.cols));
    auto right_rows = head_rows(of.weights, slots.expert * of.out.cols + column, used, 0, static_cast<int>(of.x.cols));
    const auto left_tile = [&](int stage) { return SharedTile<depth>{thread.shared() + stage * stage_bytes}; };
    const auto right_tile = [&](int stage) {
      return SharedTile<depth>{thread.shared() + stage * stage_bytes + SharedTile<depth>::bytes(rows)};
    };
    const auto begin_step = [&](int stage) {
      begin_load<rows>(thread, left_tile(stage), left_rows, 0);
      begin_load<columns>(thread, right_tile(stage), right_rows, 0);
      thread.commit_copies();
      left_rows.data += depth, left_rows.head_dim -= depth;
      right_rows.data += depth, right_rows.head_dim -= depth;
    };

    SumFragment sums[columns / 8] = {};
    begin_step(0);
    int stage = 0;
    for (int steps = static_cast<int>(divide_up(of.x.cols, depth)); steps > 0; --steps, stage ^= 1) {
      thread.template wait_for_copies<0>();
      thread.synchronize();  // this step is there, and nobody reads the last one any more
      if (steps > 1) begin_step(stage ^ 1);
      for (int step = 0; step < depth / 16; ++step)
        add_product_transposed<T>(thread, sums, left_tile(stage).left(thread, row, step), right_tile(stage), 0, step);
    }
    for (int i = 0; i < columns / 8; ++i)
      for (int e = 0; e < 4; ++e) {
        const int r = row + thread.lane() / 4 + e / 2 * 8, c = 8 * i + thread.lane() % 4 * 2 + e % 2;
        if (r < slots.count && c < used) of.out(slots.first + r, column + c) = rounded<U>(sums[i][static_cast<std::size_t>(e)]);
      }
  }
};

/// The same for any element type and depth, in float: a block for 64 rows of an expert and 64 columns.
///
/// Oracle  the definition
template <DeviceElement T, DeviceElement U>
struct PlainExpertProduct {
  static constexpr int threads = head_kernels::tile_threads;
  static constexpr int columns = head_kernels::tile;
  static constexpr int blocks_at_once = 3;  // 80 registers: left to itself the compiler takes fewer and spills
  static_assert(ExpertProduct<T, U>::rows == head_kernels::tile);
  ExpertProduct<T, U> of;

  LaunchShape launch_shape() const noexcept {
    return {of.row_tiles() * divide_up(of.out.cols, columns), head_kernels::tile_shared_bytes};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const auto slots = of.slots(thread.block() % of.row_tiles());
    if (slots.count == 0) return;  // the whole block
    const Index column = thread.block() / of.row_tiles() * columns;
    const Rows<const T> x = of.x.middle_rows(slots.first, slots.count);
    const Rows<const T> w = of.weights.middle_rows(slots.expert * of.out.cols, of.out.cols);
    float sums[4][4] = {};
    head_kernels::add_tile_product<true, true>(
        thread, x.cols, [&](int i, Index k) { return i < x.rows ? widened(x(i, k)) : 0.0f; },
        [&](Index k, int j) { return column + j < w.rows ? widened(w(column + j, k)) : 0.0f; }, sums);
    head_kernels::store_tile(thread, sums, [&](int i, int j, float sum) {
      if (i < x.rows && column + j < w.rows) of.out(slots.first + i, column + j) = rounded<U>(sum);
    });
  }
};

/// All experts' products with the kernel that fits their shape.
template <DeviceElement T, DeviceElement U, Device D>
void multiply_experts(D& device, const ExpertProduct<T, U>& product) {
  if constexpr (!std::same_as<T, float>)
    if (product.x.cols % 8 == 0) return device.launch(TileExpertProduct<T, U>{product});
  device.launch(PlainExpertProduct<T, U>{product});
}

}  // namespace embedpool::cuda
