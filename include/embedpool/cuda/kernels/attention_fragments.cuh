#pragma once
#include <bit>

#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// Threads of a block of the tile kernels: four warps.
inline constexpr int tile_threads = 128;

/// Rows of D 16-bit values in shared memory. The 16-byte pieces of row r lie in the order (piece xor r % 8), so that a
/// piece of eight neighbouring rows, which is what a load of a matrix reads at a time, lies in different banks.
template <int D>
struct SharedTile {
  static constexpr int pieces = D / 8;
  static constexpr int row_bytes = 2 * D;
  static constexpr Index bytes(int rows) noexcept { return Index(rows) * row_bytes; }
  std::byte* data;

  /// Where a piece lies, from `data`.
  static constexpr int offset(int row, int piece) noexcept { return row * row_bytes + (piece ^ (row % 8)) * 16; }

  /// A [16, 16]: rows [row, row + 16), columns [16 step, 16 step + 16). Rows of fragments are multiples of 8.
  template <GridThread G>
  EMBEDPOOL_DEVICE LeftFragment left(const G& thread, int row, int step) const {
    return thread.load_matrices(moved(offset(thread.lane() % 16, thread.lane() / 16), row, step));
  }
  /// B [16, 16] of a product with the transposed tile: B(k, n) = tile(row + n, 16 step + k).
  template <GridThread G>
  EMBEDPOOL_DEVICE LeftFragment right_transposed(const G& thread, int row, int step) const {
    const int lane = thread.lane();
    return thread.load_matrices(moved(offset(lane % 8 + lane / 16 * 8, lane / 8 % 2), row, step));
  }
  /// B [16, 16] of a product with the tile: B(k, n) = tile(row + k, 16 step + n).
  template <GridThread G>
  EMBEDPOOL_DEVICE LeftFragment right(const G& thread, int row, int step) const {
    return thread.load_matrices_transposed(moved(offset(thread.lane() % 16, thread.lane() / 16), row, step));
  }

 private:
  /// The piece 2 step further and `row` rows below. Rows below change no permutation, and a permuted piece moves by an
  /// exclusive or: so all the fragments of a step share a register for the address.
  EMBEDPOOL_DEVICE std::byte* moved(int piece, int row, int step) const {
    return data + (piece ^ (32 * step)) + row * row_bytes;
  }
};

/// Two values of the storage type as a fragment holds them.
template <DeviceElement T>
EMBEDPOOL_DEVICE std::uint32_t packed(float low, float high) {
#ifdef __CUDA_ARCH__
  std::uint32_t result;
  if constexpr (std::same_as<T, bf16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
#else
  return rounded<T>(low).bits | std::uint32_t(rounded<T>(high).bits) << 16;
#endif
}

/// Sums [16, 16] rounded, as the left side of the next product.
template <DeviceElement T>
EMBEDPOOL_DEVICE LeftFragment packed(const SumFragment& first, const SumFragment& second) {
  return {packed<T>(first[0], first[1]), packed<T>(first[2], first[3]), packed<T>(second[0], second[1]),
          packed<T>(second[2], second[3])};
}

/// sum [16, 8 n] += left [16, 16] right^T, right being `n` times 8 rows of a tile, columns [16 step, 16 step + 16).
template <DeviceElement T, int n, int D, GridThread G>
EMBEDPOOL_DEVICE void add_product_transposed(const G& thread, SumFragment (&sum)[n], const LeftFragment& left,
                                             const SharedTile<D>& right, int row, int step) {
  for (int i = 0; i < n; i += 2) {
    const LeftFragment b = right.right_transposed(thread, row + 8 * i, step);
    sum[i] = thread.multiply_add(sum[i], left, {b[0], b[1]}, T{});
    sum[i + 1] = thread.multiply_add(sum[i + 1], left, {b[2], b[3]}, T{});
  }
}

/// sum [16, 8 n] += left [16, 16] right, right being rows [row, row + 16) of a tile.
template <DeviceElement T, int n, int D, GridThread G>
EMBEDPOOL_DEVICE void add_product(const G& thread, SumFragment (&sum)[n], const LeftFragment& left,
                                  const SharedTile<D>& right, int row) {
  for (int i = 0; i < n; i += 2) {
    const LeftFragment b = right.right(thread, row, i / 2);
    sum[i] = thread.multiply_add(sum[i], left, {b[0], b[1]}, T{});
    sum[i + 1] = thread.multiply_add(sum[i + 1], left, {b[2], b[3]}, T{});
  }
}

/// Rows of one head in the device's memory: `count` rows of `head_dim` values, 16-byte aligned where `packs` says so.
template <class T>
struct HeadRows {
  T* data;
  Index stride;
  int count;
  int head_dim;
  bool packs;
};

/// Rows [first, first + count) of a matrix, the columns of head h.
template <class T>
EMBEDPOOL_DEVICE HeadRows<T> head_rows(const Rows<T>& rows, Index first, Index count, Index h, int head_dim) {
  return {rows.row_data(first) + h * head_dim, rows.stride, static_cast<int>(count), head_dim, in_packs(rows)};
}

/// Begins to copy up to `rows` rows into a tile, by all threads of a block; rows and columns that `from` has not become
/// zero. They are there after the copies were waited for and the block has synchronized.
template <int rows, int D, GridThread G, class T>
EMBEDPOOL_DEVICE void begin_load(const G& thread, const SharedTile<D>& tile, const HeadRows<const T>& from, int first) {
  constexpr int pieces = SharedTile<D>::pieces, size = pack_size<T>, rows_at_once = tile_threads / pieces;
  static_assert(rows_at_once % 8 == 0 && rows % rows_at_once == 0);
  const int piece = thread.index() % pieces, first_row = thread.index() / pieces;
  const bool column_there = piece * size < from.head_dim;
  const T* source = from.data + (first + first_row) * from.stride + piece * size;
  std::byte* to = tile.data + tile.offset(first_row, piece);
  for (int n = 0; n < rows / rows_at_once;
       ++n, source += rows_at_once * from.stride, to += rows_at_once * tile.row_bytes) {
    const bool there = column_there && first + first_row + n * rows_at_once < from.count;
    if (there && from.packs) {
      thread.copy_async(to, reinterpret_cast<const std::byte*>(source));
    } else {
      Pack<T, size> values{};
      if (there)
        for (int e = 0; e < size; ++e) values.values[e] = source[e];
      *reinterpret_cast<Pack<T, size>*>(to) = values;
    }
  }
}

/// Writes a warp's sums [16, D] times a factor of each of its lane's two rows: rows [row, row + 16) of `to`, by way of
/// the same rows of a tile, so that whole pieces are written.
///
/// Requires  nobody else uses these rows of the tile
template <int D, GridThread G, class T>
EMBEDPOOL_DEVICE void write_rows(const G& thread, const SumFragment (&sum)[D / 8], const float (&factor)[2],
                                 const SharedTile<D>& tile, const HeadRows<T>& to, int row) {
  struct alignas(4) Pair {
    T values[2];
  };
  constexpr int pieces = SharedTile<D>::pieces, size = pack_size<T>;
  const int own = row + thread.lane() / 4, place = 4 * (thread.lane() % 4);
  for (int i = 0; i < D / 8; ++i) {
    const auto put = [&](int r, std::uint32_t values) {
      *reinterpret_cast<Pair*>(tile.data + tile.offset(r, i) + place) = std::bit_cast<Pair>(values);
    };
    put(own, packed<T>(factor[0] * sum[i][0], factor[0] * sum[i][1]));
    put(own + 8, packed<T>(factor[1] * sum[i][2], factor[1] * sum[i][3]));
  }
  thread.synchronize_warp();
  for (int i = thread.lane(); i < 16 * pieces; i += warp_size) {
    const int r = row + i / pieces, piece = i % pieces;
    if (r >= to.count || piece * size >= to.head_dim) continue;
    T* const target = to.data + r * to.stride + piece * size;
    const auto values = *reinterpret_cast<const Pack<T, size>*>(tile.data + tile.offset(r, piece));
    if (to.packs)
      *reinterpret_cast<Pack<T, size>*>(target) = values;
    else
      for (int e = 0; e < size; ++e) target[e] = values.values[e];
  }
}

}  // namespace embedpool::cuda
