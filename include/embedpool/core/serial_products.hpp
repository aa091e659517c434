#pragma once
#ifdef _OPENMP
#include <omp.h>
#endif

namespace embedpool {

/// While it lives, Eigen's products on this thread run on this thread alone.
///
/// Eigen hands large products to OpenMP threads when it is not inside a parallel region, and then cuts the inner
/// dimension in other places: the same text would have other last bits alone than in a batch, and each thread of a
/// foreign pool would start a team of its own.
/// Requires  nobody asked Eigen itself for threads with Eigen::setNbThreads(n > 1), which overrides this
class SerialProducts {
 public:
#ifdef _OPENMP
  SerialProducts() noexcept : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }  // of this thread only
  ~SerialProducts() { omp_set_num_threads(threads_); }
#else
  SerialProducts() noexcept {}
  ~SerialProducts() {}
#endif
  SerialProducts(const SerialProducts&) = delete;
  SerialProducts& operator=(const SerialProducts&) = delete;

#ifdef _OPENMP
 private:
  int threads_;
#endif
};

}  // namespace embedpool
