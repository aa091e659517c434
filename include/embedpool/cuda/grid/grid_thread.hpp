#pragma once
#include <array>
#include <cstdint>

#include "embedpool/core/half.hpp"
#include "embedpool/cuda/grid/kernel.hpp"

namespace embedpool::cuda {

/// Part of one lane in a tile that a tensor core multiplies: pairs of 16-bit values, as `mma.sync` wants them.
using LeftFragment = std::array<std::uint32_t, 4>;   ///< of A [16, 16]
using RightFragment = std::array<std::uint32_t, 2>;  ///< of B [16, 8]
using SumFragment = std::array<float, 4>;            ///< of C [16, 8]

/// One thread of a running grid, as kernels see it.
///
/// Beyond the syntax, a model promises that
///   - 0 <= block() < blocks(), 0 <= index() < threads(); lane() = index() % 32, warp() = index() / 32;
///   - shared() is the block's shared memory, aligned to 16 bytes, of the size that the launch shape asked for and with
///     undefined contents; what a thread wrote there others see after synchronize() (threads of its block) or
///     synchronize_warp() (lanes of its warp);
///   - exchange(value, from) is the `value` that lane `from` of this warp passes in the same call;
///   - load_matrices(row): four 8 x 8 tiles of 16-bit values in shared memory, lane l naming row l % 8 of tile l / 8
///     (16 bytes, aligned to 16). Element i of the result holds, of tile i, row lane() / 4, columns 2 (lane() % 4) and
///     the next (low half first); load_matrices_transposed the same of the transposed tiles (PTX `ldmatrix`);
///   - multiply_add(c, a, b, T{}) is C + A B with A [16, 16], B [16, 8] of T (bf16 or f16) and C of float. With
///     g = lane() / 4 and p = 2 (lane() % 4), a lane holds
///       c: C(g, p), C(g, p + 1), C(g + 8, p), C(g + 8, p + 1)
///       a: A(g, p..p + 1), A(g + 8, p..), A(g, p + 8..), A(g + 8, p + 8..)       pairs along a row, low half first
///       b: B(p..p + 1, g), B(p + 8..p + 9, g)                                     pairs along a column
///     (PTX `mma.sync.m16n8k16`);
///   - copy_async(to, from) begins to copy 16 bytes to shared memory, both aligned; commit_copies() closes a group of
///     such copies, wait_for_copies<n>() returns when all but the last n groups of this thread are there. Other threads
///     see them after a synchronize() behind that.
template <class T>
concept GridThread = requires(const T thread, std::byte* to, const std::byte* from, float value, SumFragment sum,
                              LeftFragment left, RightFragment right) {
  { thread.block() } -> std::same_as<Index>;
  { thread.blocks() } -> std::same_as<Index>;
  { thread.index() } -> std::same_as<int>;
  { thread.threads() } -> std::same_as<int>;
  { thread.lane() } -> std::same_as<int>;
  { thread.warp() } -> std::same_as<int>;
  { thread.shared() } -> std::same_as<std::byte*>;
  { thread.synchronize() } -> std::same_as<void>;
  { thread.synchronize_warp() } -> std::same_as<void>;
  { thread.exchange(value, 0) } -> std::same_as<float>;
  { thread.load_matrices(from) } -> std::same_as<LeftFragment>;
  { thread.load_matrices_transposed(from) } -> std::same_as<LeftFragment>;
  { thread.multiply_add(sum, left, right, bf16{}) } -> std::same_as<SumFragment>;
  { thread.multiply_add(sum, left, right, f16{}) } -> std::same_as<SumFragment>;
  { thread.copy_async(to, from) } -> std::same_as<void>;
  { thread.commit_copies() } -> std::same_as<void>;
  { thread.template wait_for_copies<1>() } -> std::same_as<void>;
};

}  // namespace embedpool::cuda
