#pragma once
#include <vector>

#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/device_keys.hpp"
#include "embedpool/cuda/key_places.hpp"
#include "embedpool/cuda/reader_parts.hpp"
#include "embedpool/pooling/key_layout.hpp"

namespace embedpool::cuda {

/// The KeyLayout of a batch in device memory, copied once a batch.
class DeviceKeyLayout {
 public:
  /// The host's copy is kept until the next call, which a device.wait() must come before.
  ///
  /// Errors  ShapeError naming the text that the reader cannot read
  template <Device D, class Tokens>
  void upload(D& device, const Tokens& tokens, const Segments& segments, Index layer_slots) {
    const KeyLayout layout(tokens, segments, layer_slots);
    texts_ = segments.size();
    rows_ = layout.rows();
    kinds_ = layer_slots * tokens.slots();
    longest_ = 0;
    host_.clear();
    for (Index b = 0; b <= texts_; ++b) host_.push_back(layout.first_key(b));
    for (Index b = 0; b < texts_; ++b) host_.push_back(layout.keys_per_layer(b));
    for (Index b = 0; b < texts_; ++b) {
      const std::span<const Index> kinds = layout.kinds(b);
      host_.insert(host_.end(), kinds.begin(), kinds.end());
      longest_ = std::max(longest_, layout.keys(b));
    }
    std::vector<Index> next(host_.begin(), host_.begin() + texts_);  // where the keys of the next part begin
    for_each_part(tokens, [&](const auto& part) {
      host_.insert(host_.end(), next.begin(), next.end());
      for (Index b = 0; b < texts_; ++b) next[static_cast<std::size_t>(b)] += part.keys(segments.shape(b));
    });
    memory_.upload(device, std::span<const Index>(host_));
  }

  Index texts() const noexcept { return texts_; }
  Index rows() const noexcept { return rows_; }
  const Index* kinds() const noexcept { return memory_.data() + 2 * texts_ + 1; }

  /// `keys` [rows(), D] as heads read them.
  DeviceKeys keys(Rows<const float> keys) const noexcept {
    return {keys, kinds(), memory_.data(), texts_, longest_, kinds_};
  }
  /// Of the reader that for_each_part names at `part`.
  KeyPlaces places(Index part, Index layer_slot) const noexcept {
    return {kinds() + rows_ + part * texts_, memory_.data() + texts_ + 1, layer_slot};
  }

 private:
  Index texts_ = 0;
  Index rows_ = 0;
  Index kinds_ = 0;
  Index longest_ = 0;
  std::vector<Index> host_;  // first keys [B + 1], keys a layer [B], kinds [rows], first keys of each part [parts, B]
  DeviceBuffer<Index> memory_;
};

}  // namespace embedpool::cuda
