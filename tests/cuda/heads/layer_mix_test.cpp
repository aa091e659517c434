#include "embedpool/cuda/heads/layer_mix.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/layer_mean.cuh"
#include "embedpool/cuda/heads/weighted_layers.cuh"

using namespace embedpool;

TEST_CASE("LayerMean on a device is the CPU's head, with normed keys and without") {
  for (const bool normalise : {false, true}) test::check_device_head(LayerMean{normalise}, {5});
  test::check_device_head(LayerMean{true}, {132, 3, {3, 1}});
}

TEST_CASE("LayerMix on a device is the CPU's head, with normed keys and without") {
  for (const bool normalise : {false, true}) test::check_device_head(LayerMix{normalise}, {5});
  test::check_device_head(LayerMix{true}, {132, 3, {3, 1}});
}

TEST_CASE("WeightedLayers on a device is the CPU's head") {
  // Weights about 1 +- 0.3: no text's sum is near 0.
  test::check_device_head(WeightedLayers{}, {5});
  test::check_device_head(WeightedLayers{}, {67, 3, {3, 1}});
}
