#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/unit_rows.cuh"
#include "embedpool/loss/unit_rows.hpp"
#include "embedpool/pooling/normalize.hpp"

using namespace embedpool;

namespace {

/// Rows of normal values; the second one is far below the floor of the length, the third is zero.
template <class T>
std::vector<T> rows_with_short_ones(Index rows, Index width, unsigned seed) {
  auto x = test::random_elements<T>(rows * width, seed);
  for (Index j = 0; j < width && rows > 2; ++j) {
    T* const column = x.data() + j;
    column[width] = cuda::rounded<T>(cuda::widened(column[width]) * 1e-15f);
    column[2 * width] = T{};
  }
  return x;
}

// One rounding to the storage type, and sums of `width` products in float.
template <class T>
double bound(Index width) {
  return 2 * test::rounding<T> + 8 * 0x1p-24 * std::sqrt(static_cast<double>(width));
}

}  // namespace

TEST_CASE_TEMPLATE("UnitRows is the CPU's l2_normalize of the first columns", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 8, 31, 257, 1024})
      for (const Index kept : {width, (width + 1) / 2}) {
        CAPTURE(width);
        CAPTURE(kept);
        const Index rows = 4;
        const auto x = rows_with_short_ones<T>(rows, width, 1);
        Matrix<float> all(rows, width);
        std::ranges::copy(test::widened(x), all.data());
        const Matrix<float> expected = Finishing{kept, true}.forward(all);

        const test::OnDevice<T> input(device, x, rows, width);
        const test::OnDevice<T> out(device, std::vector<T>(static_cast<std::size_t>(rows * kept)), rows, kept);
        const Rows<const T> cut = input.rows().middle_cols(0, kept);
        device.launch(cuda::UnitRows<T>{cut, out.rows()});
        CHECK(test::relative_error(test::widened(out.values()),
                                   std::vector<float>(expected.data(), expected.data() + expected.size())) <= bound<T>(kept));
      }
  });
}

TEST_CASE_TEMPLATE("UnitRowsBackward adds what the CPU's backward adds, to the first columns alone", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 8, 31, 257, 1024})
      for (const Index kept : {width, (width + 1) / 2}) {
        CAPTURE(width);
        CAPTURE(kept);
        const Index rows = 4;
        // Without the row below the floor: its gradient is 1e12 times the others'.
        const auto x = test::random_elements<T>(rows * width, 2), du = test::random_elements<T>(rows * kept, 3);
        const auto before = test::random_elements<T>(rows * width, 4);
        const auto wide_x = test::widened(x), wide_du = test::widened(du);
        auto expected = test::widened(before);
        const Rows<float> dx(expected.data(), rows, width);
        UnitRows<float> units(Rows<const float>(wide_x.data(), rows, width).middle_cols(0, kept));
        std::ranges::copy(wide_du, units.gradient().data);
        units.backward(dx.middle_cols(0, kept));

        const test::OnDevice<T> input(device, x, rows, width), gradient(device, du, rows, kept), out(device, before, rows, width);
        const std::vector<T> none(static_cast<std::size_t>(rows * kept));
        const test::OnDevice<T> unit(device, none, rows, kept);
        const test::OnDevice<float> lengths(device, std::vector<float>(rows));
        const Rows<const T> cut = input.rows().middle_cols(0, kept);
        device.launch(cuda::UnitRows<T>{cut, unit.rows(), lengths.data()});
        device.launch(cuda::UnitRowsBackward<T>{unit.rows(), lengths.data(), gradient.rows(), out.rows().middle_cols(0, kept)});
        // The units were rounded, and u (u . du) / |x| is at most |du| / |x|; with one column it cancels with du.
        const double largest_slope = kept == 1 ? 20 : 4;
        CHECK(test::relative_error(test::widened(out.values()), expected) <= largest_slope * bound<T>(kept));
      }
  });
}

TEST_CASE("the gradient of a row below the floor is du / 1e-12") {
  test::on_every_device([](test::TestDevice& device) {
    const Index rows = 3, width = 9;
    const auto x = rows_with_short_ones<float>(rows, width, 5), du = test::random_elements<float>(rows * width, 6);
    UnitRows<float> units(Rows<const float>(x.data(), rows, width));
    std::ranges::copy(du, units.gradient().data);
    std::vector<float> expected(x.size());
    units.backward(Rows<float>(expected.data(), rows, width));

    const test::OnDevice<float> input(device, x, rows, width), gradient(device, du, rows, width);
    const test::OnDevice<float> unit(device, x, rows, width), out(device, std::vector<float>(x.size()), rows, width);
    const test::OnDevice<float> lengths(device, std::vector<float>(rows));
    device.launch(cuda::UnitRows<float>{input.rows(), unit.rows(), lengths.data()});
    device.launch(cuda::UnitRowsBackward<float>{unit.rows(), lengths.data(), gradient.rows(), out.rows()});
    CHECK(test::relative_error(out.values(), expected) <= 4 * 0x1p-24);  // a product, a quotient and a sum
  });
}
