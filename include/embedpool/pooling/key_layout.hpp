#pragma once
#include <span>
#include <string>
#include <vector>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Where the keys of a batch lie: text by text, in a text layer by layer, in a layer as the reader gives them; and of
/// which kind each is, kind = layer slot x slots of the reader + slot in the reader.
class KeyLayout {
 public:
  /// Errors: ShapeError naming the text that the reader cannot read, or a key of a kind that the reader does not have.
  template <class Tokens>
  KeyLayout(const Tokens& tokens, const Segments& segments, Index layer_slots) {
    first_key_.push_back(0);
    for (Index b = 0; b < segments.size(); ++b) {
      const TextShape& shape = segments.shape(b);
      try {
        tokens.check(shape);
      } catch (const ShapeError& error) {
        throw ShapeError("Pooling: text " + std::to_string(b) + ": " + error.what());
      }
      const Index keys = tokens.keys(shape);
      if (keys < 1) throw ShapeError("Pooling: text " + std::to_string(b) + ": has no token that the reader looks at");
      keys_per_layer_.push_back(keys);
      for (Index layer_slot = 0; layer_slot < layer_slots; ++layer_slot)
        for (Index k = 0; k < keys; ++k) kinds_.push_back(layer_slot * tokens.slots() + tokens.slot(k, shape));
      for (Index k = 0; k < keys; ++k)
        if (const Index kind = tokens.slot(k, shape); kind < 0 || kind >= tokens.slots()) [[unlikely]]
          require_in("Pooling: text " + std::to_string(b) + ", key " + std::to_string(k), "kind", kind, 0, tokens.slots() - 1);
      first_key_.push_back(static_cast<Index>(kinds_.size()));
    }
  }

  Index rows() const noexcept { return first_key_.back(); }
  Index first_key(Index b) const noexcept { return first_key_[static_cast<std::size_t>(b)]; }
  Index keys(Index b) const noexcept { return first_key(b + 1) - first_key(b); }
  Index keys_per_layer(Index b) const noexcept { return keys_per_layer_[static_cast<std::size_t>(b)]; }
  std::span<const Index> kinds(Index b) const noexcept {
    return {kinds_.data() + first_key(b), static_cast<std::size_t>(keys(b))};
  }
  /// The keys of text b from one layer: their kinds, and the row of the first of them.
  std::span<const Index> kinds(Index b, Index layer_slot) const noexcept {
    return {kinds_.data() + first_key(b, layer_slot), static_cast<std::size_t>(keys_per_layer(b))};
  }
  Index first_key(Index b, Index layer_slot) const noexcept { return first_key(b) + layer_slot * keys_per_layer(b); }

  /// Of the rows of all keys those of text b, and of these the ones from one layer.
  template <class S>
  Rows<S> text(Rows<S> rows, Index b) const noexcept {
    return rows.middle_rows(first_key(b), keys(b));
  }
  template <class S>
  Rows<S> layer(Rows<S> rows, Index b, Index layer_slot) const noexcept {
    return rows.middle_rows(first_key(b, layer_slot), keys_per_layer(b));
  }

 private:
  std::vector<Index> first_key_;
  std::vector<Index> keys_per_layer_;
  std::vector<Index> kinds_;
};

}  // namespace embedpool
