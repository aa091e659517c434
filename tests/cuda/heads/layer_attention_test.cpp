#include "embedpool/cuda/heads/layer_attention.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/additive_attention.cuh"

using namespace embedpool;

TEST_CASE("LayerAttention on a device is the CPU's head, with heads and without") {
  for (const Index heads : {0, 1, 3}) test::check_device_head(LayerAttention{heads}, {12});
  test::check_device_head(LayerAttention{0}, {131});
  test::check_device_head(LayerAttention{5}, {75});
}

TEST_CASE("AdditiveAttention on a device is the CPU's head") {
  for (const Index width : {1, 12, 131}) test::check_device_head(AdditiveAttention{}, {width});
}
