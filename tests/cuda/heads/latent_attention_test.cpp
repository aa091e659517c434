#include "embedpool/cuda/heads/latent_attention.cuh"

#include "cuda/heads/device_head_case.hpp"

using namespace embedpool;

TEST_CASE("LatentAttention on a device is the CPU's head") {
  test::check_device_head(LatentAttention{5, 2, 3, 7}, {12, 3, {3, 1, 2}});
  test::check_device_head(LatentAttention{35, 3, 5, 3}, {3, 2, {33, 2}});
}
