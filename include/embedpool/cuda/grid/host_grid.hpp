#pragma once
#include <string>

#include "embedpool/cuda/grid/fibers.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"
#include "embedpool/cuda/grid/host_block.hpp"
#include "embedpool/cuda/grid/host_thread.hpp"

namespace embedpool::cuda {

/// Runs a kernel on the host, on the calling thread: block after block, the threads of a block in turn.
///
/// Errors  GridError for more shared memory than a block can have, and for barriers that not all threads reach
template <Kernel K>
void run_on_host(const K& kernel, RunOrder order = RunOrder::rising) {
  const LaunchShape shape = kernel.launch_shape();
  if (shape.shared_bytes < 0 || shape.shared_bytes > largest_shared_bytes)
    throw GridError("launch with " + std::to_string(shape.shared_bytes) + " bytes of shared memory a block, of " +
                    std::to_string(largest_shared_bytes));
  HostBlock block(shape, K::threads, order);
  Fibers fibers(K::threads, [&](int thread) { kernel(HostThread(block, thread)); });
  for (Index i = 0; i < shape.blocks; ++i) block.run(order == RunOrder::rising ? i : shape.blocks - 1 - i, fibers);
}

}  // namespace embedpool::cuda
