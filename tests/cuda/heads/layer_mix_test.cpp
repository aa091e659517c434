#include "embedpool/cuda/heads/layer_mix.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/layer_mean.cuh"
#include "embedpool/cuda/heads/weighted_layers.cuh"

using namespace embedpool;

TEST_CASE("LayerMean on a device is the CPU's head, with normed keys and without") {
  for (const bool normalise : {false, true})
    for (const Index width : {5, 12, 131}) test::check_device_head(LayerMean{normalise}, {width});
}

TEST_CASE("LayerMix on a device is the CPU's head, with normed keys and without") {
  for (const bool normalise : {false, true})
    for (const Index width : {5, 12, 131}) test::check_device_head(LayerMix{normalise}, {width});
}

TEST_CASE("WeightedLayers on a device is the CPU's head") {
  // Weights about 1 +- 0.3: no text's sum is near 0.
  for (const Index width : {1, 12, 131}) test::check_device_head(WeightedLayers{}, {width});
}
