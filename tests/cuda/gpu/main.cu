#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "embedpool/cuda/availability.cuh"

// Without a GPU no test runs; the exit status says so to CTest (SKIP_RETURN_CODE).
int main(int argc, char** argv) {
  if (const std::string reason = embedpool::cuda::gpu_unavailable_because(); !reason.empty()) {
    std::printf("skipped, there is no GPU for it: %s\n", reason.c_str());
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
