#include "embedpool/attention/small_panels.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/matrix.hpp"

using namespace embedpool;

namespace {

/// Small whole numbers: their products and sums are exact, so the order of summation does not matter.
template <class S>
Matrix<S> whole_numbers(Index rows, Index cols, std::uint64_t seed) {
  Matrix<S> values(rows, cols);
  for (Index i = 0; i < values.size(); ++i)
    values.data()[i] = static_cast<S>(static_cast<int>(random_key(seed, static_cast<std::uint64_t>(i)) % 9) - 4);
  return values;
}
template <class S>
Rows<const S> view(const Matrix<S>& m) {
  return {m.data(), m.rows(), m.cols()};
}

}  // namespace

TEST_CASE_TEMPLATE("packed operands multiply as they are, transposed or not, for every remainder of a panel", S, float, double) {
  using Panels = simd::SmallPanels<S>;
  for (const Index rows : {1, 5, 17})
    for (const Index depth : {1, 3, 64})
      for (Index columns = 1; columns <= Panels::width + simd::lanes<S> + 1; ++columns) {
        CAPTURE(rows);
        CAPTURE(depth);
        CAPTURE(columns);
        const Matrix<S> a = whole_numbers<S>(rows, depth, 1), b = whole_numbers<S>(depth, columns, 2);
        const Matrix<S> transposed = b.transpose(), expected = a * b;
        AlignedBuffer<S> panels(Panels::size(depth, columns));
        Matrix<S> c(rows, columns);
        // What lies in registers that stay empty must not matter.
        std::fill_n(panels.data(), Panels::size(depth, columns), std::numeric_limits<S>::quiet_NaN());
        Panels::pack(view(b), panels.data());
        Panels::multiply(view(a), panels.data(), depth, 0, columns, StoreTo<S>{{c.data(), rows, columns}});
        REQUIRE(c == expected);
        std::fill_n(panels.data(), Panels::size(depth, columns), std::numeric_limits<S>::quiet_NaN());
        Panels::pack_transposed(view(transposed), panels.data());
        Panels::multiply(view(a), panels.data(), depth, 0, columns, StoreTo<S>{{c.data(), rows, columns}});
        REQUIRE(c == expected);
      }
}

TEST_CASE_TEMPLATE("a product may use some rows of the panels alone", S, float, double) {
  using Panels = simd::SmallPanels<S>;
  const Index depth = 20, begin = 7, columns = Panels::width + 1;
  const Matrix<S> a = whole_numbers<S>(4, 6, 3), b = whole_numbers<S>(depth, columns, 4);
  AlignedBuffer<S> panels(Panels::size(depth, columns));
  Panels::pack(view(b), panels.data());
  Matrix<S> c(4, columns);
  Panels::multiply(view(a), panels.data(), depth, begin, columns, StoreTo<S>{{c.data(), 4, columns}});
  CHECK(c == Matrix<S>(a * b.middleRows(begin, 6)));
}
