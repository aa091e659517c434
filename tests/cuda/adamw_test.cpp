#include "embedpool/cuda/adamw.cuh"

#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/train/gradient_norm.hpp"
#include "embedpool/train/optimizer.hpp"

using namespace embedpool;

namespace {

/// Tensors of a model: shorter than a pack, odd, and longer than a chunk.
const std::vector<std::vector<Index>> shapes{{1, 3}, {7, 31}, {2, 64}, {3, cuda::TensorChunk::longest / 2 + 1}};

struct HostModel {
  std::vector<Matrix<float>> values, gradients;

  HostModel() {
    unsigned seed = 1;
    for (const auto& shape : shapes) {
      values.emplace_back(shape[0], shape[1]);
      gradients.emplace_back(shape[0], shape[1]);
      std::ranges::copy(test::random_values<float>(values.back().size(), seed++), values.back().data());
    }
  }
  void new_gradients(unsigned seed) {
    for (Matrix<float>& g : gradients) std::ranges::copy(test::random_values<float>(g.size(), seed++), g.data());
  }
  std::vector<TrainedTensor<float>> tensors() {
    std::vector<TrainedTensor<float>> out;
    for (std::size_t i = 0; i < values.size(); ++i)
      out.push_back({"tensor " + std::to_string(i), &values[i], &gradients[i],
                     i % 2 == 0 ? TrainedPart::adapter : TrainedPart::head, i != 2});
    return out;
  }
};

std::vector<float> values_of(const Matrix<float>& m) { return {m.data(), m.data() + m.size()}; }

double rate_of(TrainedPart part) { return part == TrainedPart::head ? 3e-2 : 1e-2; }

}  // namespace

TEST_CASE("twenty steps of the DeviceOptimizer are twenty of the CPU's, clipped or not") {
  test::on_every_device([](test::TestDevice& device) {
    HostModel host;
    const auto cpu_tensors = host.tensors();
    std::vector<test::OnDevice<float>> values, gradients;
    values.reserve(shapes.size()), gradients.reserve(shapes.size());
    std::vector<cuda::DeviceTensor> tensors;
    for (std::size_t i = 0; i < cpu_tensors.size(); ++i) {
      values.emplace_back(device, values_of(host.values[i]));
      gradients.emplace_back(device, values_of(host.gradients[i]));
      tensors.push_back({cpu_tensors[i].name, values[i].data(), gradients[i].data(), host.values[i].size(),
                         cpu_tensors[i].part, cpu_tensors[i].decays});
    }
    Optimizer<float> cpu(AdamW{}, 0.1, cpu_tensors);
    cuda::DeviceOptimizer optimizer(device, AdamW{}, 0.1, tensors);
    device.wait();

    for (unsigned step = 0; step < 20; ++step) {
      host.new_gradients(100 + 10 * step);
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        device.copy_in(gradients[i].data(), host.gradients[i].data(), tensors[i].size * Index(sizeof(float)));
        device.wait();
      }
      const double longest = step % 3 == 0 ? 0.0 : step % 3 == 1 ? 1.0 : 1e6;  // none, shortened, long enough
      const double norm = clip_gradients(cpu_tensors, longest);
      cpu.step(cpu_tensors, rate_of);
      optimizer.step(device, rate_of, longest);
      cuda::GradientClip clip;
      device.copy_out(&clip, optimizer.clip(), Index(sizeof clip));
      device.wait();
      CHECK(std::abs(clip.norm - norm) <= 0x1p-23 * norm);  // both in double, rounded once
      CHECK((clip.factor < 1) == (step % 3 == 1));
    }
    CHECK(optimizer.steps() == 20);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      CAPTURE(i);
      const auto moments = [&](const float* place) {
        std::vector<float> out(static_cast<std::size_t>(tensors[i].size));
        device.copy_out(out.data(), place, tensors[i].size * Index(sizeof(float)));
        device.wait();
        return out;
      };
      // Twenty times the few roundings of a step, which a compiler may contract in one of them.
      CHECK(test::relative_error(values[i].values(), values_of(host.values[i])) <= 20 * 4 * 0x1p-24);
      CHECK(test::relative_error(moments(optimizer.first_moment(i)), values_of(cpu.moments()[i].first)) <= 20 * 4 * 0x1p-24);
      CHECK(test::relative_error(moments(optimizer.second_moment(i)), values_of(cpu.moments()[i].second)) <= 20 * 4 * 0x1p-24);
    }
  });
}

TEST_CASE("a DeviceOptimizer that resumes corrects for the steps before") {
  test::on_every_device([](test::TestDevice& device) {
    HostModel host;
    host.new_gradients(5);
    const test::OnDevice<float> value(device, values_of(host.values[1])), gradient(device, values_of(host.gradients[1]));
    cuda::DeviceOptimizer optimizer(device, AdamW{}, 0.0, {{"w", value.data(), gradient.data(), host.values[1].size()}});
    device.wait();
    optimizer.resume_at(41);
    optimizer.step(device, rate_of);
    Matrix<float> m = Matrix<float>::Zero(7, 31), v = m;
    AdamW{}.update(host.values[1], host.gradients[1], m, v, 42, 1e-2, 0.0);
    CHECK(test::relative_error(value.values(), values_of(host.values[1])) <= 4 * 0x1p-24);  // the roundings of a step
  });
}

TEST_CASE("a tensor of no memory is refused by name, and none at all is no work") {
  test::on_every_device([](test::TestDevice& device) {
    CHECK_THROWS_WITH_AS(cuda::DeviceOptimizer(device, AdamW{}, 0.0, {{"layer.3.A", nullptr, nullptr, 4}}),
                         doctest::Contains("layer.3.A"), ShapeError);
    cuda::DeviceOptimizer optimizer(device, AdamW{}, 0.0, {});
    optimizer.step(device, rate_of, 1.0);
    cuda::GradientClip clip;
    device.copy_out(&clip, optimizer.clip(), Index(sizeof clip));
    device.wait();
    CHECK(clip.norm == 0);
    CHECK(clip.factor == 1);
  });
}
