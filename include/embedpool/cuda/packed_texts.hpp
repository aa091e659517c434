#pragma once
#include <vector>

#include "embedpool/core/layer_states.hpp"
#include "embedpool/cuda/device_buffer.hpp"

namespace embedpool::cuda {

/// Where the tokens of each text lie in packed rows, as kernels read it: Segments and a RowSelection in device memory.
/// Token t of text b, t in held[b], is row first_row[b] + t - held[b].begin.
struct PackedTexts {
  Index texts = 0;
  Index rows = 0;
  const TextShape* shape = nullptr;         ///< [B]
  const Interval* held = nullptr;           ///< [B]
  const Index* first_row = nullptr;         ///< [B + 1]
  const std::int32_t* text_of_row = nullptr;  ///< [rows]

  /// The position in its text of the token in a row.
  constexpr Index position(Index row) const noexcept {
    const Index text = text_of_row[row];
    return held[text].begin + row - first_row[text];
  }
};

/// A PackedTexts with its memory.
class PackedTextsBuffer {
 public:
  /// Copies what `selection` says of the rows of `segments`. Both host copies are kept until the next call, which a
  /// device.wait() must come before.
  template <Device D>
  PackedTexts upload(D& device, const Segments& segments, const RowSelection& selection) {
    shapes_.clear(), held_.clear(), first_row_.clear(), text_of_row_.clear();
    for (Index b = 0; b < segments.size(); ++b) {
      shapes_.push_back(segments.shape(b));
      held_.push_back(selection.held(b));
      first_row_.push_back(selection.first_row(b));
      text_of_row_.insert(text_of_row_.end(), static_cast<std::size_t>(selection.held(b).size()),
                          static_cast<std::int32_t>(b));
    }
    first_row_.push_back(selection.rows());
    return {segments.size(),
            selection.rows(),
            device_shapes_.upload(device, std::span<const TextShape>(shapes_)),
            device_held_.upload(device, std::span<const Interval>(held_)),
            device_first_row_.upload(device, std::span<const Index>(first_row_)),
            device_text_of_row_.upload(device, std::span<const std::int32_t>(text_of_row_))};
  }

 private:
  std::vector<TextShape> shapes_;
  std::vector<Interval> held_;
  std::vector<Index> first_row_;
  std::vector<std::int32_t> text_of_row_;
  DeviceBuffer<TextShape> device_shapes_;
  DeviceBuffer<Interval> device_held_;
  DeviceBuffer<Index> device_first_row_;
  DeviceBuffer<std::int32_t> device_text_of_row_;
};

}  // namespace embedpool::cuda
