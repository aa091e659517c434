#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/gated.cuh"
#include "embedpool/kernels/gated_backward.hpp"

using namespace embedpool;

namespace {

SerialExecutor executor;
constexpr Index rows = 2;
constexpr Index widths[] = {1, 257, 2056};

template <class T>
Rows<T> matrix(std::vector<T>& values, Index width) {
  return {values.data(), rows, width};
}

/// One rounding of the result, and a few operations in float on both sides.
template <class T>
constexpr double bound = test::rounding<T> + 8 * 0x1p-24;

template <class Activation, class CpuActivation, class T>
void check_gated(test::TestDevice& device) {
  for (const Index width : widths) {
    CAPTURE(width);
    const auto gate = test::random_elements<T>(rows * width, 1), up = test::random_elements<T>(rows * width, 2);
    std::vector<float> g = test::widened(gate), u = test::widened(up), expected(g.size());
    gated_product<CpuActivation>(Rows<const float>(matrix(g, width)), Rows<const float>(matrix(u, width)),
                                 matrix(expected, width), executor);
    const test::OnDevice<T> x(device, gate, rows, width), y(device, up, rows, width);
    device.launch(cuda::Gated<T, Activation>{x.rows(), y.rows(), x.rows()});  // in place
    CHECK(test::relative_error(test::widened(x.values()), expected) <= bound<T>);
  }
}

template <class Activation, class CpuActivation, class T>
void check_gated_backward(test::TestDevice& device) {
  for (const Index width : widths) {
    CAPTURE(width);
    const auto gate = test::random_elements<T>(rows * width, 1), up = test::random_elements<T>(rows * width, 2);
    const auto gradient = test::random_elements<T>(rows * width, 3);
    std::vector<float> g = test::widened(gate), u = test::widened(up), d = test::widened(gradient);
    gated_product_backward<CpuActivation>(matrix(g, width), matrix(u, width), Rows<const float>(matrix(d, width)),
                                          executor);
    const test::OnDevice<T> x(device, gate, rows, width), y(device, up, rows, width),
        dinner(device, gradient, rows, width);
    device.launch(cuda::GatedBackward<T, Activation>{x.rows(), y.rows(), dinner.rows()});
    CHECK(test::relative_error(test::widened(x.values()), g) <= bound<T>);
    CHECK(test::relative_error(test::widened(y.values()), u) <= bound<T>);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("Gated is the CPU's gated_product for every activation", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    check_gated<cuda::Silu, Silu, T>(device);
    check_gated<cuda::GeluTanh, GeluTanh, T>(device);
    check_gated<cuda::GeluErf, GeluErf, T>(device);
  });
}

TEST_CASE_TEMPLATE("GatedBackward is the CPU's gated_product_backward for every activation", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    check_gated_backward<cuda::Silu, Silu, T>(device);
    check_gated_backward<cuda::GeluTanh, GeluTanh, T>(device);
    check_gated_backward<cuda::GeluErf, GeluErf, T>(device);
  });
}

TEST_CASE_TEMPLATE("gate and up may lie side by side in one matrix", T, float, bf16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {24, 25}) {
      CAPTURE(width);
      const auto both = test::random_elements<T>(rows * 2 * width, 4);
      std::vector<float> wide = test::widened(both), expected(static_cast<std::size_t>(rows * width));
      const Rows<const float> all(wide.data(), rows, 2 * width);
      gated_product<Silu>(all.middle_cols(0, width), all.middle_cols(width, width), matrix(expected, width), executor);
      const test::OnDevice<T> gate_up(device, both, rows, 2 * width),
          out(device, std::vector<T>(expected.size()), rows, width);
      device.launch(cuda::Gated<T, cuda::Silu>{gate_up.rows().middle_cols(0, width),
                                               gate_up.rows().middle_cols(width, width), out.rows()});
      CHECK(test::relative_error(test::widened(out.values()), expected) <= bound<T>);
    }
  });
}
