#include "embedpool/core/aligned_buffer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

using namespace embedpool;

namespace {

constexpr Index megabyte = (Index(1) << 20) / static_cast<Index>(sizeof(float));

bool is_aligned(const float* data, std::uintptr_t alignment) { return reinterpret_cast<std::uintptr_t>(data) % alignment == 0; }

}  // namespace

TEST_CASE("a buffer of any size starts at a line of the cache, and all of it can be written") {
  for (const Index count : {Index(1), Index(15), Index(17), 2 * megabyte - 1, 2 * megabyte, 2 * megabyte + 1, 5 * megabyte + 333}) {
    CAPTURE(count);
    AlignedBuffer<float> buffer(count);
    CHECK(is_aligned(buffer.data(), 64));
    CHECK(buffer.capacity() >= count);
    std::fill_n(buffer.data(), buffer.capacity(), 1.5f);
    CHECK(std::count(buffer.data(), buffer.data() + buffer.capacity(), 1.5f) == buffer.capacity());
#ifdef __linux__
    if (count >= 2 * megabyte) CHECK(is_aligned(buffer.data(), std::uintptr_t(1) << 21));  // or no page of it can be a huge one
#endif
  }
}

TEST_CASE("a buffer grows when it must, keeps its memory when it need not, and never shrinks") {
  AlignedBuffer<float> buffer;
  CHECK(buffer.data() == nullptr);
  CHECK(buffer.capacity() == 0);
  for (const Index count : {Index(10), megabyte, 3 * megabyte, 7 * megabyte}) {  // from the heap, and from the system
    float* const data = buffer.reserve(count);
    data[0] = data[count - 1] = 2;
    const Index capacity = buffer.capacity();
    CHECK(buffer.reserve(count / 2) == data);
    CHECK(buffer.reserve(capacity) == data);
    CHECK(buffer.capacity() == capacity);
  }
  const auto rows = buffer.rows(3, 5);
  CHECK(rows.rows == 3);
  CHECK(rows.cols == 5);
  CHECK(rows.data == buffer.data());
}

TEST_CASE("a buffer that is moved hands on its memory") {
  for (const Index count : {Index(100), 3 * megabyte}) {
    AlignedBuffer<float> from(count);
    float* const data = from.data();
    data[count - 1] = 7;
    AlignedBuffer<float> to(std::move(from));
    CHECK(to.data() == data);
    AlignedBuffer<float> other(10);
    other = std::move(to);
    CHECK(other.data() == data);
    CHECK(other.data()[count - 1] == 7);
    CHECK(other.capacity() >= count);
  }
}

TEST_CASE("values that do not divide a huge page are given back as they were had") {
  struct Record {
    std::int32_t value[9];
  };
  constexpr Index fits = (Index(1) << 21) / static_cast<Index>(sizeof(Record));  // the last line of the page is not full
  AlignedBuffer<Record> buffer;
  for (const Index count : {fits - 2, fits, fits + 2, 2 * fits}) {
    buffer.reserve(count)[count - 1].value[8] = 3;
    CHECK(buffer.capacity() >= count);
    CHECK(buffer.data()[count - 1].value[8] == 3);
  }
}
