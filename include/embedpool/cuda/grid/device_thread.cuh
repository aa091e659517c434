#pragma once
#include <cuda_runtime.h>

#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// A GridThread on a GPU of compute capability 8.0 or later. Read by nvcc alone.
struct DeviceThread {
  __device__ Index block() const { return static_cast<Index>(blockIdx.x); }
  __device__ Index blocks() const { return static_cast<Index>(gridDim.x); }
  __device__ int index() const { return static_cast<int>(threadIdx.x); }
  __device__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ int lane() const { return index() % warp_size; }
  __device__ int warp() const { return index() / warp_size; }
  __device__ std::byte* shared() const {
    extern __shared__ __align__(16) std::byte memory[];
    return memory;
  }
  __device__ void synchronize() const { __syncthreads(); }
  __device__ void synchronize_warp() const { __syncwarp(); }

  template <class T>
  __device__ T exchange(T value, int from) const {
    return __shfl_sync(every_lane, value, from);
  }

  __device__ LeftFragment load_matrices(const std::byte* row) const {
    LeftFragment r;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
    return r;
  }
  __device__ LeftFragment load_matrices_transposed(const std::byte* row) const {
    LeftFragment r;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
    return r;
  }

  __device__ SumFragment multiply_add(SumFragment c, const LeftFragment& a, const RightFragment& b, bf16) const {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    return c;
  }
  __device__ SumFragment multiply_add(SumFragment c, const LeftFragment& a, const RightFragment& b, f16) const {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    return c;
  }

  __device__ void copy_async(std::byte* to, const std::byte* from) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
  }
  __device__ void commit_copies() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
  template <int n>
  __device__ void wait_for_copies() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
  }

 private:
  static constexpr unsigned every_lane = 0xffffffffu;
  static __device__ unsigned shared_address(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
  }
};
static_assert(GridThread<DeviceThread>);

/// What a launch runs: the kernel's arguments travel as one constant parameter.
template <Kernel K>
__global__ void __launch_bounds__(K::threads, blocks_at_once<K>()) run_kernel(const __grid_constant__ K kernel) {
  kernel(DeviceThread{});
}

}  // namespace embedpool::cuda
