#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/kernels/weight.hpp"

namespace embedpool::io {

/// A named tensor of a file, where it lies: nothing is copied, `owner` keeps the file mapped.
///
/// Invariant  data holds exactly the bytes that shape and type need (none for a type of unknown size); no product of
///            extents overflows
struct Tensor {
  std::string name;
  std::string file;                ///< for messages
  std::string type;                ///< as the file calls it: "F32", "I64", "Q4_1" ...
  std::optional<Format> format{};  ///< set for every type that kernels can decode
  std::vector<Index> shape;        ///< outermost first: a linear layer is [out, in]
  std::span<const std::byte> data;
  std::shared_ptr<const void> owner;

  Index size() const noexcept {
    Index product = 1;
    for (const Index extent : shape) product *= extent;
    return product;
  }

  /// Appends an extent as a file states it. Errors: FileError when the extents' product leaves Index; extents of 0 do
  /// not hide the others, so that any part of the product may be formed later.
  void add_extent(std::uint64_t extent) {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    Index product = extent > most ? 0 : std::max<Index>(static_cast<Index>(extent), 1);
    bool overflows = extent > most;
    for (const Index other : shape) overflows |= __builtin_mul_overflow(product, std::max<Index>(other, 1), &product);
    if (overflows) fail("shape overflows");
    shape.push_back(static_cast<Index>(extent));
  }

  [[noreturn]] void fail(std::string_view cause) const { throw FileError(file, "tensor " + name, cause); }

  std::string shape_text() const {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
  }

  /// Errors: FileError unless the shape is exactly this.
  void require_shape(std::initializer_list<Index> expected) const {
    if (std::equal(shape.begin(), shape.end(), expected.begin(), expected.end())) return;
    Tensor wanted;
    wanted.shape = expected;
    fail("shape must be " + wanted.shape_text() + ", got " + shape_text());
  }

  /// A matrix, or a vector as one row, used from the file. Errors: FileError for integer types and other ranks.
  WeightView weight() const {
    if (!format) fail("type " + type + " is not a weight format");
    if (shape.empty() || shape.size() > 2) fail("shape must be a matrix or a vector, got " + shape_text());
    const Index cols = shape.back();
    return {data.data(), *format, shape.size() == 2 ? shape.front() : 1, cols};
  }
};

}  // namespace embedpool::io
