#pragma once
#include "embedpool/cuda/kernels/attention_fragments.cuh"
#include "embedpool/cuda/kernels/attention_input.cuh"

namespace embedpool::cuda {

/// A block's tile of queries of one text and head, and the keys that matter to it.
struct QueryTile {
  TextShape shape;
  Index h;          ///< its head
  Index row;        ///< of its first query
  Index key_row;    ///< of the text's key 0
  Index position;   ///< of its first query
  int count;        ///< queries
  Interval keys;    ///< what any of them sees
};

template <DeviceElement T, MaskPolicy M>
EMBEDPOOL_DEVICE QueryTile query_tile(const AttentionInput<T, M>& in, Index block) {
  const AttentionTile tile = in.batch.query_tiles[block / in.heads];
  const PackedTexts& queries = in.batch.queries;
  const Interval held = queries.held[tile.text];
  const TextShape shape = queries.shape[tile.text];
  const Index first = held.begin + tile.first, left = held.end - first;
  const int count = static_cast<int>(left < attention_tile ? left : attention_tile);
  return {shape, block % in.heads, queries.first_row[tile.text] + tile.first, in.batch.keys.first_row[tile.text],
          first, count, {in.mask.keys(first, shape).begin, in.mask.keys(first + count - 1, shape).end}};
}

/// The keys and values of a tile's head in steps of 64, which begin at multiples of 64 keys of the text: two steps have
/// room in shared memory, one to be multiplied while the next arrives.
template <DeviceElement T, int D, GridThread G>
struct KeySteps {
  static constexpr Index tile_bytes = SharedTile<D>::bytes(attention_tile);
  const G& thread;
  HeadRows<const T> key_rows, value_rows;
  int begin, end;

  template <MaskPolicy M>
  EMBEDPOOL_DEVICE KeySteps(const G& of_block, const AttentionInput<T, M>& in, const QueryTile& tile)
      : thread(of_block),
        begin(static_cast<int>(tile.keys.begin) / attention_tile * attention_tile),
        end(static_cast<int>(tile.keys.end)) {
    const Index g = tile.h / in.group();
    key_rows = head_rows(in.k, tile.key_row, tile.shape.tokens, g, in.head_dim);
    value_rows = head_rows(in.v, tile.key_row, tile.shape.tokens, g, in.head_dim);
  }

  EMBEDPOOL_DEVICE SharedTile<D> keys(int stage) const { return {thread.shared() + stage * tile_bytes}; }
  EMBEDPOOL_DEVICE SharedTile<D> values(int stage) const { return {thread.shared() + (2 + stage) * tile_bytes}; }
  /// Begins to copy the step at key `first`.
  EMBEDPOOL_DEVICE void begin_load(int first, int stage) const {
    cuda::begin_load<attention_tile>(thread, keys(stage), key_rows, first);
    cuda::begin_load<attention_tile>(thread, values(stage), value_rows, first);
  }
  /// Waits for the step at key `first`, while the next begins to arrive.
  EMBEDPOOL_DEVICE void advance(int first, int stage) const {
    thread.template wait_for_copies<0>();
    thread.synchronize();  // this step is there, and nobody reads the last one any more
    if (first + attention_tile < end) begin_load(first + attention_tile, stage ^ 1);
    thread.commit_copies();
  }
};

}  // namespace embedpool::cuda
