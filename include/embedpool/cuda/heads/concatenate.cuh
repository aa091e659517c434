#pragma once
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/kernels/heads/head_rows.cuh"
#include "embedpool/pooling/heads/concatenate.hpp"

namespace embedpool::cuda {

/// e = [h_1 | h_2 | ... ]: one copy for each of the `count` keys that every text has.
///
/// Oracle  embedpool::Concatenate
template <Device D>
class DeviceHead<Concatenate, D> : public DeviceHeadBase<Concatenate> {
 public:
  DeviceHead(D& device, const Concatenate& head, const NoParams& params)
      : DeviceHeadBase<Concatenate>(device, head, params) {}

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) const {
    require_keys(keys, out);
    for (Index k = 0; k < head_.count; ++k)
      device.launch(head_kernels::AddRows{key(keys.rows, k), part(out, k), false});
  }
  /// dh_k += the k-th part of de
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) const {
    require_keys(keys, de);
    require_gradient("Concatenate head", keys, dkeys);
    for (Index k = 0; k < head_.count; ++k) device.launch(head_kernels::AddRows{part(de, k), key(dkeys, k)});
  }

 private:
  void require_keys(const DeviceKeys& keys, Rows<const float> rows) const {
    require_fit("Concatenate head", keys, keys.rows.cols, rows);
    require_equal("Concatenate head", "most keys of a text", keys.longest, head_.count);
    require_equal("Concatenate head", "keys of all texts", keys.rows.rows, keys.texts * head_.count);
  }
  /// The k-th key of every text: a view.
  template <class T>
  Rows<T> key(Rows<T> rows, Index k) const {
    return {rows.row_data(k), rows.rows / head_.count, rows.cols, rows.stride * head_.count};
  }
  template <class T>
  Rows<T> part(Rows<T> rows, Index k) const {
    return rows.middle_cols(k * (rows.cols / head_.count), rows.cols / head_.count);
  }
};

}  // namespace embedpool::cuda
