#pragma once
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/kernels/heads/head_rows.cuh"
#include "embedpool/pooling/heads/identity.hpp"

namespace embedpool::cuda {

/// e = h_1, the only key of every text.
///
/// Oracle  embedpool::Identity
template <Device D>
class DeviceHead<Identity, D> : public DeviceHeadBase<Identity> {
 public:
  DeviceHead(D& device, const Identity& head, const NoParams& params) : DeviceHeadBase<Identity>(device, head, params) {}

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) const {
    require_keys(keys, out);
    device.launch(head_kernels::AddRows{keys.rows.middle_rows(0, keys.texts), out, false});
  }
  /// dh_1 += de
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) const {
    require_keys(keys, de);
    require_gradient("Identity head", keys, dkeys);
    device.launch(head_kernels::AddRows{de.middle_rows(0, keys.texts), dkeys});
  }

 private:
  void require_keys(const DeviceKeys& keys, Rows<const float> rows) const {
    require_fit("Identity head", keys, keys.rows.cols, rows);
    require_equal("Identity head", "most keys of a text", keys.longest, 1);
    require_equal("Identity head", "keys of all texts", keys.rows.rows, keys.texts);
  }
};

}  // namespace embedpool::cuda
