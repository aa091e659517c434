#pragma once
#include "embedpool/cuda/decoder/block_context.cuh"

namespace embedpool::cuda {

/// What a decoder's passes need of one batch on the device: ids, where texts lie, attention tiles and rotary tables. Kept
/// between batches for its memory; refilled by `upload`, which must not come while a pass of the batch before is still to
/// be captured or replayed.
class DeviceDecoderBatch {
 public:
  /// `read` are the tokens whose states the last layer is asked for. Waits: the host's copies are gone afterwards.
  /// Errors  ShapeError for an id outside the vocabulary, naming text, position and id
  template <Device D>
  void upload(D& device, const DecoderConfig& config, const Batch& batch, const RowSelection& read) {
    const Segments& segments = batch.segments();
    check_ids(batch, config.vocabulary);
    ids_.upload(device, batch.ids());
    const RowSelection all = RowSelection::all(segments);
    every_ = every_tiles_.upload(device, segments, all);
    last_ = last_tiles_.upload(device, segments, read);
    if (segments.longest() > positions_ || config.inverse_frequencies != frequencies_)
      upload_rotary(device, config, std::max<Index>(segments.longest(), 2 * positions_));
    device.wait();
  }

  const TokenId* ids() const noexcept { return ids_.data(); }
  const AttentionBatch& every() const noexcept { return every_; }  ///< every token asks
  const AttentionBatch& last() const noexcept { return last_; }    ///< only those that are read
  DeviceRotary rotary(const DecoderConfig& config) const noexcept {
    return {cosine_.data(), sine_.data(), config.rotary_style};
  }

 private:
  static void check_ids(const Batch& batch, Index vocabulary) {
    const Segments& segments = batch.segments();
    for (Index b = 0; b < segments.size(); ++b)
      for (Index t = 0; t < segments.shape(b).tokens; ++t)
        require_in("DeviceDecoder", "text " + std::to_string(b) + ", position " + std::to_string(t) + ": token id",
                   batch.ids()[static_cast<std::size_t>(segments.offset(b) + t)], 0, vocabulary - 1);
  }

  template <Device D>
  void upload_rotary(D& device, const DecoderConfig& config, Index positions) {
    positions_ = 0;  // until all is there: memory may be refused
    const RotaryTable<float> table(config.inverse_frequencies, positions);
    const auto size = static_cast<std::size_t>(positions * table.pairs());
    cosine_.upload(device, std::span<const float>(table.cosine(0), size));
    sine_.upload(device, std::span<const float>(table.sine(0), size));
    device.wait();
    frequencies_ = config.inverse_frequencies;
    positions_ = positions;
  }

  DeviceBuffer<TokenId> ids_;
  AttentionBatchBuffer every_tiles_, last_tiles_;
  AttentionBatch every_{}, last_{};
  DeviceBuffer<float> cosine_, sine_;
  Index positions_ = 0;                ///< of which the tables hold angles
  std::vector<double> frequencies_{};  ///< of these angles: another decoder may have others
};

}  // namespace embedpool::cuda
