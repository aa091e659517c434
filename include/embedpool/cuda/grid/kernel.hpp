#pragma once
#include <concepts>
#include <cstddef>
#include <type_traits>

#include "embedpool/core/types.hpp"

/// In front of every function that a kernel calls and that is not constexpr; and in front of a loop that must not be
/// unrolled, which takes registers. A plain C++ compiler sees nothing.
#ifdef __CUDACC__
#define EMBEDPOOL_DEVICE __device__ __forceinline__
#define EMBEDPOOL_NO_UNROLL _Pragma("unroll 1")
#else
#define EMBEDPOOL_DEVICE inline
#define EMBEDPOOL_NO_UNROLL
#endif

namespace embedpool::cuda {

/// Lanes of a warp: threads that exchange registers.
inline constexpr int warp_size = 32;

/// Shared memory that a block can have on every GPU of compute capability 8.0 and later, less 1 KB for the system
/// (compute capability 8.6 and 8.9: 99 KB; 8.0: 163 KB; 9.0 and 10.0: 227 KB).
inline constexpr Index largest_shared_bytes = 99 * 1024;

/// How a kernel is spread out: `blocks` blocks of K::threads threads, each block with `shared_bytes` of shared memory.
struct LaunchShape {
  Index blocks = 0;  ///< none: nothing runs
  Index shared_bytes = 0;
};

/// A kernel is a value: its arguments are its members, and `kernel(thread)` is what one thread of the grid does.
///
/// Beyond the syntax, a model promises that
///   - operator()(const T& thread) is a const template over every GridThread T, marked EMBEDPOOL_DEVICE;
///   - K::threads is a multiple of 32 in [32, 1024] (a constant, because it decides how many registers a thread may have);
///   - all threads of a block reach every synchronize() and all lanes of a warp every exchange: no early return before;
///   - the pointers among its members point to memory of the device that it is launched on, and the kernel owns none;
///   - its result does not depend on the order in which blocks or threads run: nothing is added up across blocks, so
///     that results are the same to the bit every time.
/// K::blocks_at_once, where a kernel has it, is how many of its blocks a multiprocessor shall hold at least: a thread then has
/// at most 65,536 / (K::threads blocks_at_once) registers.
/// So one source runs on a GPU (device_thread.cuh) and on the host (host_grid.hpp), where sanitizers see it.
template <class K>
concept Kernel = std::is_trivially_copyable_v<K> && requires(const K kernel) {
  { kernel.launch_shape() } -> std::same_as<LaunchShape>;
  requires K::threads % warp_size == 0 && K::threads >= warp_size && K::threads <= 1024;
};

/// K::blocks_at_once, or 0: left to the compiler.
template <Kernel K>
constexpr int blocks_at_once() noexcept {
  if constexpr (requires { K::blocks_at_once; }) return K::blocks_at_once;
  else return 0;
}

/// ceil(a / b) of sizes.
constexpr Index divide_up(Index a, Index b) noexcept { return (a + b - 1) / b; }

}  // namespace embedpool::cuda
