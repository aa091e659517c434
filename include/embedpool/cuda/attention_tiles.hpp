#pragma once
#include <algorithm>
#include <tuple>
#include <vector>

#include "embedpool/cuda/packed_texts.hpp"

namespace embedpool::cuda {

/// Queries of a block of attention, and keys of a step of it. A text's tiles begin at multiples of it, counted from its
/// first query or key: where a text lies in its batch changes no tile.
inline constexpr int attention_tile = 64;

/// The tile of up to attention_tile queries (or keys) of a text that begins at the first-th of those it holds.
struct AttentionTile {
  std::int32_t text = 0;
  std::int32_t first = 0;
};

/// What attention needs to know of a batch, in device memory.
struct AttentionBatch {
  PackedTexts keys;     ///< every token
  PackedTexts queries;  ///< the selected ones
  const AttentionTile* query_tiles = nullptr;
  const AttentionTile* key_tiles = nullptr;
  Index query_tile_count = 0;
  Index key_tile_count = 0;
};

/// An AttentionBatch with its memory.
class AttentionBatchBuffer {
 public:
  /// Copies what the selection says of the batch. Host copies are kept until the next call, which a device.wait() must
  /// come before. Tiles that cost most come first, so that no block begins late and long: long texts, of them the late
  /// queries and the early keys (under a causal mask those meet most).
  template <Device D>
  AttentionBatch upload(D& device, const Segments& segments, const RowSelection& queries) {
    list(query_tiles_, segments, [&](Index b) { return queries.held(b).size(); }, 1);
    list(key_tiles_, segments, [&](Index b) { return segments.shape(b).tokens; }, -1);
    return {keys_.upload(device, segments, RowSelection::all(segments)),
            queries_.upload(device, segments, queries),
            device_query_tiles_.upload(device, std::span<const AttentionTile>(query_tiles_)),
            device_key_tiles_.upload(device, std::span<const AttentionTile>(key_tiles_)),
            static_cast<Index>(query_tiles_.size()),
            static_cast<Index>(key_tiles_.size())};
  }

 private:
  /// Every tile of every text, by falling `tokens + direction * first`.
  template <class Count>
  static void list(std::vector<AttentionTile>& tiles, const Segments& segments, Count&& count, Index direction) {
    tiles.clear();
    for (Index b = 0; b < segments.size(); ++b)
      for (Index first = 0; first < count(b); first += attention_tile)
        tiles.push_back({static_cast<std::int32_t>(b), static_cast<std::int32_t>(first)});
    const auto order = [&](const AttentionTile& tile) {
      const Index cost = segments.shape(tile.text).tokens + direction * tile.first;
      return std::tuple(-cost, tile.text, tile.first);
    };
    std::ranges::sort(tiles, std::ranges::less{}, order);
  }

  PackedTextsBuffer keys_;
  PackedTextsBuffer queries_;
  std::vector<AttentionTile> query_tiles_;
  std::vector<AttentionTile> key_tiles_;
  DeviceBuffer<AttentionTile> device_query_tiles_;
  DeviceBuffer<AttentionTile> device_key_tiles_;
};

}  // namespace embedpool::cuda
