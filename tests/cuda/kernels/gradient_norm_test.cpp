#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/gradient_norm.cuh"

using namespace embedpool;

TEST_CASE("GradientNorm is the length of chunks of every size and alignment, to rounding from double") {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index size : {1, 3, 4, 257, 1030})
      for (const Index shift : {0, 1}) {
        CAPTURE(size);
        CAPTURE(shift);
        const auto gradient = test::random_elements<float>(size + shift, 3);
        double squares = 0;
        for (std::size_t i = static_cast<std::size_t>(shift); i < gradient.size(); ++i)
          squares += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
        const double norm = std::sqrt(2 * squares);

        const test::OnDevice<float> values(device, gradient);
        cuda::TensorChunk chunk;
        chunk.gradient = values.data() + shift;
        chunk.size = static_cast<std::int32_t>(size);
        const test::OnDevice<cuda::TensorChunk> chunks(device, std::vector<cuda::TensorChunk>{chunk, chunk});
        const test::OnDevice<double> parts(device, std::vector<double>(2));
        const test::OnDevice<cuda::GradientClip> clip(device, std::vector<cuda::GradientClip>(1));
        device.launch(cuda::GradientSquares{chunks.data(), 2, parts.data()});
        device.launch(cuda::GradientNorm{parts.data(), 2, 0.5f, clip.data()});
        const cuda::GradientClip got = clip.values()[0];
        CHECK(std::abs(got.norm - norm) <= 0x1p-24 * norm);  // one rounding to float
        CHECK(std::abs(got.factor - std::min(1.0, 0.5 / (norm + 1e-6))) <= 0x1p-23);
      }
  });
}

TEST_CASE("the norm of gradients whose squares no float holds is right") {
  test::on_every_device([](test::TestDevice& device) {
    const test::OnDevice<float> values(device, std::vector<float>{3e30f, 4e30f});
    cuda::TensorChunk chunk;
    chunk.gradient = values.data();
    chunk.size = 2;
    const test::OnDevice<cuda::TensorChunk> chunks(device, std::vector<cuda::TensorChunk>{chunk});
    const test::OnDevice<double> parts(device, std::vector<double>(1));
    const test::OnDevice<cuda::GradientClip> clip(device, std::vector<cuda::GradientClip>(1));
    device.launch(cuda::GradientSquares{chunks.data(), 1, parts.data()});
    device.launch(cuda::GradientNorm{parts.data(), 1, 0.0f, clip.data()});
    CHECK(clip.values()[0].norm == doctest::Approx(5e30f).epsilon(1e-6));  // one rounding to float
    CHECK(clip.values()[0].factor == 1);
  });
}
