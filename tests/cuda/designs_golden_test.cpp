#include "cuda/on_device.hpp"
#include "embedpool/cuda/device_embedder.cuh"
#include "embedpool/cuda/heads/identity.cuh"
#include "embedpool/cuda/heads/perceiver_head.cuh"
#include "model/golden_designs.hpp"

using namespace embedpool;

namespace {

Matrix<float> run_design(test::TestDevice& device, Index design, const Decoder<float>& decoder, const std::string& model,
                         const Batch& batch) {
  Matrix<float> embeddings;
  test::with_design<float>(design, model, decoder.width(), [&](auto mask, auto pooling, const auto& params) {
    const Embedder<Decoder<float>, decltype(mask), decltype(pooling)> embedder(decoder, params, pooling, mask);
    cuda::DeviceEmbedder<float, test::TestDevice, decltype(mask), decltype(pooling)> on_device(device, embedder);
    embeddings = on_device.encode(batch);
  });
  return embeddings;
}

}  // namespace

TEST_CASE("the five designs on a device agree with their float64 references") {
  test::TestDevice device;
  test::check_golden_designs([&](Index design, const Decoder<float>& decoder, const std::string& model, const Batch& batch) {
    return run_design(device, design, decoder, model, batch);
  });
}
