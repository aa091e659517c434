#include "embedpool/cuda/heads/layer_attention.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/additive_attention.cuh"

using namespace embedpool;

TEST_CASE("LayerAttention on a device is the CPU's head, with heads and without") {
  for (const Index heads : {0, 1, 3}) test::check_device_head(LayerAttention{heads}, {12});
  test::check_device_head(LayerAttention{5}, {75, 3, {3, 1}});
}

TEST_CASE("AdditiveAttention on a device is the CPU's head") {
  test::check_device_head(AdditiveAttention{}, {5});
  test::check_device_head(AdditiveAttention{}, {131, 3, {3, 1}});
}
