#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/info_nce.cuh"
#include "embedpool/cuda/kernels/learned_scale.cuh"
#include "embedpool/train/learned_scale.hpp"

using namespace embedpool;

TEST_CASE("a scale learned on the device has the CPU's loss and gradient, below its limit and above") {
  test::on_every_device([](test::TestDevice& device) {
    const Index queries = 3, width = 8;
    const auto q = test::random_elements<float>(queries * width, 1), p = test::random_elements<float>(queries * width, 2);
    for (const float largest : {100.0f, 10.0f}) {
      CAPTURE(largest);
      LearnedScale<float> cpu;
      cpu.largest = largest;
      std::vector<float> dq(q.size()), dp(p.size());
      const double want = cpu({Rows<const float>(q.data(), queries, width), Rows<const float>(p.data(), queries, width)},
                              {Rows<float>(dq.data(), queries, width), Rows<float>(dp.data(), queries, width)});

      const test::OnDevice<float> y(device, q, queries, width), z(device, p, queries, width);
      const test::OnDevice<float> dy(device, std::vector<float>(q.size()), queries, width);
      const test::OnDevice<float> dz(device, std::vector<float>(q.size()), queries, width);
      const test::OnDevice<float> logarithm(device, std::vector<float>{static_cast<float>(std::log(cpu.inner.scale))});
      const test::OnDevice<float> scale(device, std::vector<float>{0}), loss(device, std::vector<float>{0});
      const test::OnDevice<float> dscale(device, std::vector<float>{0}), dlogarithm(device, std::vector<float>{0});
      cuda::DeviceInfoNce info_nce(cpu.inner);
      device.launch(cuda::ScaleOfLogarithm{logarithm.data(), largest, scale.data()});
      info_nce.run(device, {y.rows(), z.rows()}, {dy.rows(), dz.rows()}, loss.data(), dscale.data(), 1, scale.data());
      device.launch(cuda::ScaleOfLogarithmBackward{scale.data(), dscale.data(), dlogarithm.data()});
      // Logits up to 20 have 20 times the error of a score, a few roundings.
      const double bound = 0x1p-24 * 20 * 16;
      CHECK(scale.values()[0] == doctest::Approx(cpu.scale()).epsilon(1e-6));
      CHECK(logarithm.values()[0] == doctest::Approx((*cpu.tensors()[0].value)(0, 0)).epsilon(1e-6));
      CHECK(loss.values()[0] == doctest::Approx(want).epsilon(bound));
      CHECK(test::relative_error(dlogarithm.values(), std::vector<float>{(*cpu.tensors()[0].gradient)(0, 0)}) <= bound);
      CHECK(test::relative_error(dy.values(), dq) <= bound);
    }
  });
}
