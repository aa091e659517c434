#pragma once
#include <cstring>

#include "embedpool/core/error.hpp"
#include "embedpool/cuda/device.hpp"
#include "embedpool/cuda/element.hpp"
#include "embedpool/cuda/grid/host_grid.hpp"

namespace embedpool::cuda {

/// The host in place of a GPU: the same kernels, slowly, in memory where sanitizers see every step. For tests of kernels
/// and of users' own policies; each launch runs at once.
class HostDevice {
 public:
  explicit HostDevice(RunOrder order = RunOrder::rising,
                      std::pmr::memory_resource* memory = std::pmr::new_delete_resource())
      : order_(order), memory_(memory) {}

  std::pmr::memory_resource* memory() const noexcept { return memory_; }
  void copy_in(void* to, const void* from, Index bytes) const noexcept { copy(to, from, bytes); }
  void copy_out(void* to, const void* from, Index bytes) const noexcept { copy(to, from, bytes); }
  void copy(void* to, const void* from, Index bytes) const noexcept {
    if (bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
  }
  void clear(void* to, Index bytes) const noexcept {
    if (bytes > 0) std::memset(to, 0, static_cast<std::size_t>(bytes));
  }
  void wait() const noexcept {}

  template <Kernel K>
  void launch(const K& kernel) const {
    run_on_host(kernel, order_);
  }

  /// The definition of a product: plain sums in double, rounded once.
  template <DeviceElement T, DeviceElement U>
  void multiply(const Product<T, U>& p) const {
    const Index inner = p.left_transposed ? p.left.rows : p.left.cols;
    require_equal("multiply", "rows of the left side", p.left_transposed ? p.left.cols : p.left.rows, p.out.rows);
    require_equal("multiply", "rows of the right side", p.right_transposed ? p.right.cols : p.right.rows, inner);
    require_equal("multiply", "columns of the right side", p.right_transposed ? p.right.rows : p.right.cols, p.out.cols);
    if (p.bias) require_in("multiply", "inner dimension of a product with a bias", inner, 1, Index(1) << 40);
    for (Index i = 0; i < p.out.rows; ++i)
      for (Index j = 0; j < p.out.cols; ++j) {
        double sum = 0;
        for (Index k = 0; k < inner; ++k)
          sum += to_real<double>(p.left_transposed ? p.left(k, i) : p.left(i, k)) *
                 to_real<double>(p.right_transposed ? p.right(j, k) : p.right(k, j));
        U& out = p.out(i, j);
        const double before = p.beta != 0 ? double(p.beta) * to_real<double>(out) : 0.0;
        const double bias = p.bias ? to_real<double>(p.bias[j]) : 0.0;
        out = rounded<U>(static_cast<float>(double(p.alpha) * sum + before + bias));
      }
  }

 private:
  RunOrder order_;
  std::pmr::memory_resource* memory_;
};
static_assert(Device<HostDevice>);

}  // namespace embedpool::cuda
