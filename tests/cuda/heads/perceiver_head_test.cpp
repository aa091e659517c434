#include "embedpool/cuda/heads/perceiver_head.cuh"

#include "cuda/heads/device_head_case.hpp"

using namespace embedpool;

TEST_CASE("PerceiverHead on a device is the CPU's head, in every variant") {
  for (const Residual residual : {Residual::latents, Residual::pooled})
    for (const bool table : {false, true}) {
      CAPTURE(table);
      test::check_device_head(PerceiverHead{table ? 3 : 1, 2, 5, 7, table, residual}, {6, 3, {3, 1, 2}});
    }
  test::check_device_head(PerceiverHead{2, 3, 2, 3, true}, {5});
}

TEST_CASE("PerceiverHead on a device is the CPU's head where its many queries let keys be projected first") {
  const Index latents = cuda::CrossAttendValues::many_queries;
  // Sums over `latents` rows more than in the other cases.
  test::check_device_head(PerceiverHead{latents, 2, 3, 5, true, Residual::latents}, {3, 3, {66, 2}, 1000 * 0x1p-24});
}

TEST_CASE("PerceiverHead on a device gives texts of one key no gradient of scores") {
  test::check_device_head(PerceiverHead{3, 2, 5, 7, false, Residual::pooled}, {6, 1, {1, 1}});
}
