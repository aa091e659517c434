#pragma once
#include "embedpool/cuda/device_keys.hpp"
#include "embedpool/cuda/heads/device_params.hpp"

namespace embedpool::cuda {

/// A head of the library on a device, for the keys of a whole batch: specialised for each head in heads/NAME.cuh.
///
///   DeviceHead(device, head, params)    uploads the parameters; device.wait() before the next upload
///   upload(device, params)              new values of the same shapes
///   forward(device, keys, out)          out [B, output_width(D)]; keeps what backward needs
///   backward(device, keys, de, dkeys)   once after forward with the same keys: adds to dkeys [N, D], its gradients
///   clear_gradients(device); for_each(f) gives every tensor and its gradient, to which backward adds
///
/// Row b of `out` depends on the keys of text b alone, to the bit where the device's products do the same for rows.
/// Memory grows to the largest batch and is used again.
///
/// Errors  ShapeError for parameters that do not fit each other, or keys and outputs that do not fit them
template <class Head, Device D>
class DeviceHead;

/// What heads have in common.
template <class Head>
class DeviceHeadBase {
 public:
  using Params = typename Head::template Params<float>;

  template <Device D>
  void upload(D& device, const Params& params) {
    params_.upload(device, params);
  }
  template <Device D>
  void clear_gradients(D& device) const {
    params_.clear_gradients(device);
  }
  /// f(name, value, gradient) for every tensor in the device's memory: an optimiser may change it between passes.
  template <class F>
  void for_each(F&& f) const {
    params_.for_each(f);
  }
  Index output_width(Index width) const { return head_.output_width(width); }

 protected:
  template <Device D>
  DeviceHeadBase(D& device, const Head& head, const Params& params) : head_(head) {
    params_.upload(device, params);
  }

  /// `width` is that of the parameters; `rows` the embeddings or their gradient.
  void require_fit(std::string_view where, const DeviceKeys& keys, Index width, Rows<const float> rows) const {
    require_equal(where, "width of the keys", keys.rows.cols, width);
    require_equal(where, "rows of the embeddings", rows.rows, keys.texts);
    require_equal(where, "width of the embeddings", rows.cols, head_.output_width(width));
  }
  void require_gradient(std::string_view where, const DeviceKeys& keys, Rows<const float> dkeys) const {
    require_equal(where, "rows of the keys' gradient", dkeys.rows, keys.rows.rows);
    require_equal(where, "width of the keys' gradient", dkeys.cols, keys.rows.cols);
  }
  Rows<const float> value(std::string_view name) const { return params_.value(name); }
  Rows<float> gradient(std::string_view name) const { return params_.gradient(name); }

  Head head_;
  DeviceParams<Head> params_;
};

}  // namespace embedpool::cuda
