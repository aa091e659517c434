#include "embedpool/cuda/heads/perceiver_head.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/latent_attention.cuh"

using namespace embedpool;

TEST_CASE("PerceiverHead on a device is the CPU's head, in every variant") {
  for (const Residual residual : {Residual::latents, Residual::pooled})
    for (const bool table : {false, true})
      for (const Index latents : {1, 3}) {
        CAPTURE(table);
        CAPTURE(latents);
        test::check_device_head(PerceiverHead{latents, 2, 5, 7, table, residual}, {12});
      }
}

TEST_CASE("PerceiverHead on a device is the CPU's head where its many queries let keys be projected first") {
  const Index latents = cuda::CrossAttendValues::many_queries;
  // Sums over `latents` rows more than in the other cases.
  test::check_device_head(PerceiverHead{latents, 2, 3, 5, true, Residual::latents}, {6, 3, {3, 1, 67}, 1000 * 0x1p-24});
}

TEST_CASE("PerceiverHead on a device gives texts of one key no gradient of scores") {
  test::check_device_head(PerceiverHead{3, 2, 5, 7, false, Residual::pooled}, {12, 1, {1, 1, 1}});
}

TEST_CASE("LatentAttention on a device is the CPU's head") {
  test::check_device_head(LatentAttention{5, 2, 3, 7}, {12});
  test::check_device_head(LatentAttention{1, 1, 4, 0}, {9});
  test::check_device_head(LatentAttention{35, 3, 5, 3}, {6, 2, {2, 1, 33}});
}
