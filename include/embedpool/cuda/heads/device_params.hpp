#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/cuda/device_buffer.hpp"

namespace embedpool::cuda {

/// The parameters of a head in device memory, and beside each its gradient: the tensors of Head::Params<float> by their
/// names, in the order of Head::for_each.
template <class Head>
class DeviceParams {
 public:
  using Params = typename Head::template Params<float>;

  /// Copies the values. The first call decides the shapes and sets the gradients to 0.
  ///
  /// Requires  a device.wait() between two calls: the host's copy is used again
  /// Errors    ShapeError for a tensor of another shape than before
  template <Device D>
  void upload(D& device, const Params& params) {
    if (tensors_.empty()) lay_out(device, params);
    std::size_t i = 0;
    Head::for_each(params, [&](std::string_view name, const Matrix<float>& tensor) {
      const Tensor& own = tensors_[i++];
      require_equal(name, "rows", tensor.rows(), own.rows);
      require_equal(name, "columns", tensor.cols(), own.cols);
      std::copy_n(tensor.data(), tensor.size(), host_.data() + own.begin);
    });
    device.copy_in(values_.data(), host_.data(), bytes());
  }

  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
  Rows<float> value(std::string_view name) const { return rows_of(values_, name); }
  Rows<float> gradient(std::string_view name) const { return rows_of(gradients_, name); }

  /// f(name, value, gradient) for every tensor.
  template <class F>
  void for_each(F&& f) const {
    for (const Tensor& tensor : tensors_) f(tensor.name, value(tensor.name), gradient(tensor.name));
  }

  template <Device D>
  void clear_gradients(D& device) const {
    device.clear(gradients_.data(), bytes());
  }

 private:
  struct Tensor {
    std::string name;
    Index begin, rows, cols;
  };
  static constexpr Index alignment = 64;  // floats: every tensor begins where products and packs like it

  template <Device D>
  void lay_out(D& device, const Params& params) {
    Index end = 0;
    Head::for_each(params, [&](std::string_view name, const Matrix<float>& tensor) {
      tensors_.push_back({std::string(name), end, tensor.rows(), tensor.cols()});
      end += divide_up(tensor.size(), alignment) * alignment;
    });
    host_.assign(static_cast<std::size_t>(end), 0.0f);
    values_.reserve(device, end);
    gradients_.reserve(device, end);
    clear_gradients(device);
  }
  Index bytes() const noexcept { return static_cast<Index>(host_.size() * sizeof(float)); }
  const Tensor* find(std::string_view name) const noexcept {
    const auto found = std::ranges::find(tensors_, name, &Tensor::name);
    return found == tensors_.end() ? nullptr : &*found;
  }
  Rows<float> rows_of(const DeviceBuffer<float>& buffer, std::string_view name) const {
    const Tensor* const tensor = find(name);
    if (tensor == nullptr) throw ShapeError("DeviceParams: no tensor " + std::string(name));
    return {buffer.data() + tensor->begin, tensor->rows, tensor->cols};
  }

  std::vector<Tensor> tensors_;
  std::vector<float> host_;
  DeviceBuffer<float> values_, gradients_;
};

}  // namespace embedpool::cuda
