#include <doctest/doctest.h>

#include <numeric>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/experts/expert_product.cuh"

using namespace embedpool;

namespace {

/// Slots of each expert: none, one, a full tile, one more than that, a few.
const std::vector<std::int32_t> first_slots{0, 0, 1, 65, 130, 133};
constexpr Index experts = 5, places = 133;

/// out = x W_e^T in double.
template <class T>
std::vector<double> expected_product(const std::vector<T>& x, const std::vector<T>& weights, Index inner, Index columns) {
  std::vector<double> out(static_cast<std::size_t>(places * columns));
  for (Index e = 0; e < experts; ++e)
    for (Index s = first_slots[static_cast<std::size_t>(e)]; s < first_slots[static_cast<std::size_t>(e) + 1]; ++s)
      for (Index n = 0; n < columns; ++n)
        for (Index k = 0; k < inner; ++k)
          out[static_cast<std::size_t>(s * columns + n)] +=
              static_cast<double>(cuda::widened(x[static_cast<std::size_t>(s * inner + k)])) *
              static_cast<double>(cuda::widened(weights[static_cast<std::size_t>((e * columns + n) * inner + k)]));
  return out;
}

template <class T, class U>
void check_product(test::TestDevice& device, Index inner, Index columns) {
  CAPTURE(inner);
  CAPTURE(columns);
  const auto x = test::random_elements<T>(places * inner, 1), weights = test::random_elements<T>(experts * columns * inner, 2);
  const test::OnDevice<T> left(device, x, places, inner), right(device, weights, experts * columns, inner);
  const test::OnDevice<std::int32_t> first(device, first_slots);
  const test::OnDevice<U> out(device, std::vector<U>(static_cast<std::size_t>(places * columns)), places, columns);
  cuda::multiply_experts(device, cuda::ExpertProduct<T, U>{left.rows(), right.rows(), first.data(), experts, out.rows()});
  // A chain of `inner` float sums, each rounded, relative to the largest of many results; one rounding of the result.
  const double bound = test::rounding<U> + static_cast<double>(inner) * test::rounding<float>;
  CHECK(test::relative_error(test::widened(out.values()), expected_product(x, weights, inner, columns)) < bound);
}

}  // namespace

TEST_CASE_TEMPLATE("experts multiply their own rows, in every shape", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    check_product<T, float>(device, 1, 1);
    check_product<T, T>(device, 13, 70);
    check_product<T, T>(device, 8, 6);  // multiples of 8 go through tensor cores, 64 at a time
    check_product<T, float>(device, 72, 130);
  });
}

TEST_CASE_TEMPLATE("experts' rows may lie apart, on no boundary", T, float, bf16) {
  test::on_every_device([](test::TestDevice& device) {
    constexpr Index inner = 16, columns = 6, wide = inner + 3;
    const auto x = test::random_elements<T>(places * inner, 1), weights = test::random_elements<T>(experts * columns * inner, 2);
    const auto apart = [&](const std::vector<T>& values) {
      std::vector<T> out(values.size() / inner * wide, cuda::rounded<T>(1e3f));
      for (std::size_t i = 0; i < values.size(); ++i) out[i / inner * wide + i % inner + 1] = values[i];
      return test::OnDevice<T>(device, out, static_cast<Index>(values.size()) / inner, wide);
    };
    const auto left = apart(x), right = apart(weights);
    const test::OnDevice<std::int32_t> first(device, first_slots);
    const test::OnDevice<float> out(device, std::vector<float>(places * columns), places, columns);
    cuda::multiply_experts(device, cuda::ExpertProduct<T, float>{left.rows().middle_cols(1, inner), right.rows().middle_cols(1, inner),
                                                                 first.data(), experts, out.rows()});
    CHECK(test::relative_error(out.values(), expected_product(x, weights, inner, columns)) < inner * test::rounding<float>);
  });
}
