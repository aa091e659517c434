#pragma once
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/pooling/concepts.hpp"
#include "embedpool/pooling/heads/head_math.hpp"

/// One check for every head on a device: forward and backward of ragged texts against the CPU's head in double.
namespace embedpool::test {

/// Keys of some texts, with the kinds that a reader would give them, in rising order.
struct HeadKeys {
  Index kinds = 0;
  std::vector<Index> count;  ///< keys of each text
  std::vector<Index> kind;
  Matrix<float> rows;

  Index first(std::size_t text) const {
    Index sum = 0;
    for (std::size_t b = 0; b < text; ++b) sum += count[b];
    return sum;
  }
};

/// Kinds repeat within a text where it has more keys than there are kinds; a text of fewer begins at any kind.
inline HeadKeys head_keys(std::vector<Index> count, Index kinds, Index width, std::uint64_t seed) {
  HeadKeys keys{kinds, std::move(count), {}, {}};
  for (std::size_t b = 0; b < keys.count.size(); ++b)
    for (Index k = 0; k < keys.count[b]; ++k)
      keys.kind.push_back((k + (keys.count[b] < kinds ? static_cast<Index>(b) : 0)) % kinds);
  std::mt19937_64 generator(seed);
  keys.rows = head_math::normal_init<float>(static_cast<Index>(keys.kind.size()), width, 1.0, generator);
  return keys;
}

inline HeadKeys only_text(const HeadKeys& keys, std::size_t text) {
  const Index first = keys.first(text), count = keys.count[text];
  return {keys.kinds,
          {count},
          {keys.kind.begin() + first, keys.kind.begin() + first + count},
          keys.rows.middleRows(first, count)};
}

/// What a head gave: embeddings, and gradients of the keys and of every tensor.
template <Real S, class Head>
struct HeadResult {
  Matrix<S> e, dkeys;
  typename Head::template Params<S> dparams;
};

template <class Head>
auto zeros_like(typename Head::template Params<float> params) {
  Head::for_each(params, [](auto&&, Matrix<float>& tensor) { tensor.setZero(); });
  return params;
}

/// The parameters in another scalar: an exact copy for float values in double.
template <Real S, class Head>
typename Head::template Params<S> converted(const Head& head, const typename Head::template Params<float>& params,
                                            Index width, Index kinds) {
  typename Head::template Params<S> out = head.template init<S>(width, kinds);
  std::vector<const Matrix<float>*> tensors;
  Head::for_each(params, [&](auto&&, const Matrix<float>& tensor) { tensors.push_back(&tensor); });
  std::size_t i = 0;
  Head::for_each(out, [&](auto&&, Matrix<S>& tensor) { tensor = tensors[i++]->template cast<S>(); });
  return out;
}

/// The CPU's head on the texts one by one. Gradients begin at `before`.
template <Real S, class Head>
HeadResult<S, Head> on_cpu(const Head& head, const typename Head::template Params<float>& params, const HeadKeys& keys,
                           const Matrix<float>& de, S before) {
  const Index width = keys.rows.cols();
  const auto p = converted<S>(head, params, width, keys.kinds);
  HeadResult<S, Head> out{Matrix<S>(de.rows(), de.cols()), Matrix<S>::Constant(keys.rows.rows(), width, before), p};
  Head::for_each(out.dparams, [&](auto&&, Matrix<S>& tensor) { tensor.setConstant(before); });
  const Matrix<S> rows = keys.rows.template cast<S>();
  for (std::size_t b = 0; b < keys.count.size(); ++b) {
    const Index first = keys.first(b), count = keys.count[b], text = static_cast<Index>(b);
    const Keys<S> own{rows_of(rows).middle_rows(first, count),
                      std::span<const Index>(keys.kind).subspan(static_cast<std::size_t>(first),
                                                                static_cast<std::size_t>(count))};
    typename Head::template Cache<S> cache;
    out.e.row(text) = head.forward(p, own, cache);
    const RowVector<S> de_text = de.row(text).template cast<S>();
    head.backward(p, own, cache, de_text, out.dparams, rows_of(out.dkeys).middle_rows(first, count));
  }
  return out;
}

/// What the head on the device gives. Gradients begin at `before`.
template <class Head>
HeadResult<float, Head> on_device(TestDevice& device, cuda::DeviceHead<Head, TestDevice>& head,
                                  const typename Head::template Params<float>& params, const HeadKeys& keys,
                                  const Matrix<float>& de, float before) {
  std::vector<Index> first_key{0};
  Index longest = 0;
  for (const Index count : keys.count) {
    first_key.push_back(first_key.back() + count);
    longest = std::max(longest, count);
  }
  const Index width = keys.rows.cols(), count = keys.rows.rows();
  const auto values = [](const Matrix<float>& m) { return std::vector<float>(m.data(), m.data() + m.size()); };
  const OnDevice<float> rows(device, values(keys.rows), count, width);
  const OnDevice<Index> kind(device, keys.kind), first(device, first_key);
  const OnDevice<float> out(device, std::vector<float>(static_cast<std::size_t>(de.size()), 7.0f), de.rows(), de.cols());
  const OnDevice<float> de_there(device, values(de), de.rows(), de.cols());
  const OnDevice<float> dkeys(device, std::vector<float>(static_cast<std::size_t>(count * width), before), count, width);
  const cuda::DeviceKeys there{rows.rows(),   kind.data(), first.data(), static_cast<Index>(keys.count.size()),
                               longest, keys.kinds};
  // Backward adds to what the device has: a gradient cache goes back several times before it asks for gradients.
  head.for_each([&](const std::string&, Rows<float>, Rows<float> gradient) {
    const Matrix<float> start = Matrix<float>::Constant(gradient.rows, gradient.cols, before);
    device.copy_in(gradient.data, start.data(), start.size() * Index(sizeof(float)));
    device.wait();
  });
  head.forward(device, there, out.rows());
  head.backward(device, there, de_there.rows(), dkeys.rows());
  HeadResult<float, Head> result{Matrix<float>(de.rows(), de.cols()), Matrix<float>(count, width), params};
  std::ranges::copy(out.values(), result.e.data());
  std::ranges::copy(dkeys.values(), result.dkeys.data());
  Head::for_each(result.dparams, [&](const std::string& name, Matrix<float>& tensor) {
    tensor.setConstant(std::numeric_limits<float>::quiet_NaN());
    head.for_each([&](const std::string& own, Rows<float>, Rows<float> gradient) {
      if (own != name) return;
      REQUIRE(tensor.size() == gradient.rows * gradient.cols);
      device.copy_out(tensor.data(), gradient.data, tensor.size() * Index(sizeof(float)));
      device.wait();
    });
  });
  return result;
}

template <Real S>
void check_close(const Matrix<float>& got, const Matrix<S>& expected, double tolerance) {
  REQUIRE(got.rows() == expected.rows());
  REQUIRE(got.cols() == expected.cols());
  if (got.size() == 0) return;
  // Relative to the largest value, and at least to 0.1: a gradient that is 0 but for rounding is summed from values of 1.
  const double largest = std::max(0.1, static_cast<double>(expected.cwiseAbs().maxCoeff()));
  const double error = (got.template cast<double>() - expected.template cast<double>()).cwiseAbs().maxCoeff() / largest;
  CHECK(error <= tolerance);
}

struct HeadCase {
  Index width = 12;
  Index kinds = 3;
  std::vector<Index> count{3, 66, 1, 2};  ///< one key, odd counts, more than a tile; the last text is looked at alone
  /// Some hundred roundings of float (a few sums of width, keys and inner width) of values about 1.
  double tolerance = 300 * 0x1p-24;
};

/// Forward and backward agree with the CPU's head in double; the gradients are added to what was there; the
/// last text's embedding is the same to the bit alone, in memory that the batch has used.
template <class Head>
void check_device_head(const Head& head, const HeadCase& sizes = {}) {
  const HeadKeys keys = head_keys(sizes.count, sizes.kinds, sizes.width, 5);
  std::mt19937_64 generator(7);
  auto params = head.template init<float>(sizes.width, sizes.kinds, 3);
  Head::for_each(params, [&](auto&&, Matrix<float>& tensor) {  // random everywhere: a zero start hides no wrong gradient
    tensor += head_math::normal_init<float>(tensor.rows(), tensor.cols(), 0.3, generator);
  });
  const Index texts = static_cast<Index>(keys.count.size()), out_width = head.output_width(sizes.width);
  const Matrix<float> de = head_math::normal_init<float>(texts, out_width, 1.0, generator);
  const auto expected = on_cpu<double>(head, params, keys, de, 0.5);
  on_every_device([&](TestDevice& device) {
    auto other = params;
    Head::for_each(other, [](auto&&, Matrix<float>& tensor) { tensor.setConstant(-3.0f); });
    cuda::DeviceHead<Head, TestDevice> there(device, head, other);
    device.wait();
    there.upload(device, params);
    const auto got = on_device(device, there, params, keys, de, 0.5f);
    const auto agree = [&](const std::string& name, const Matrix<float>& a, const Matrix<double>& b) {
      CAPTURE(name);
      check_close(a, b, sizes.tolerance);
    };
    agree("e", got.e, expected.e);
    agree("keys", got.dkeys, expected.dkeys);
    std::vector<std::pair<std::string, const Matrix<double>*>> tensors;
    Head::for_each(expected.dparams, [&](const std::string& name, const Matrix<double>& tensor) {
      tensors.emplace_back(name, &tensor);
    });
    std::size_t i = 0;
    Head::for_each(got.dparams, [&](auto&&, const Matrix<float>& tensor) {
      agree(tensors[i].first, tensor, *tensors[i].second);
      ++i;
    });
#ifndef EMBEDPOOL_TEST_ON_GPU  // a library's products may choose their order of sums by the number of rows
    const std::size_t last = keys.count.size() - 1;
    const auto alone = on_device(device, there, params, only_text(keys, last), Matrix<float>(de.bottomRows(1)), 0.5f);
    CHECK((alone.e.row(0).array() == got.e.bottomRows(1).array()).all());
    CHECK((alone.dkeys.array() == got.dkeys.bottomRows(keys.count[last]).array()).all());
#endif
  });
}

}  // namespace embedpool::test
