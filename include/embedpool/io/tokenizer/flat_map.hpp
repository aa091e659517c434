#pragma once
#include <cstdint>
#include <vector>

namespace embedpool::io::tokenizing {

/// Hash map from 64-bit keys (never all ones) to 64-bit values: two flat arrays, linear probing, at most half full.
/// Merge rules (pairs of ids) and trie edges (node and byte) live in it.
class FlatMap {
 public:
  static constexpr std::uint64_t absent = ~std::uint64_t(0);

  explicit FlatMap(std::size_t expected = 0) {
    std::size_t capacity = 16;
    while (capacity < 2 * expected) capacity *= 2;
    slots_.assign(capacity, Slot{absent, 0});
  }

  std::size_t size() const noexcept { return size_; }

  /// The value of `key`, absent when it has none.
  std::uint64_t find(std::uint64_t key) const noexcept {
    for (std::size_t i = hash(key);; ++i) {
      const Slot& slot = slots_[i & (slots_.size() - 1)];
      if (slot.key == key) return slot.value;
      if (slot.key == absent) return absent;
    }
  }

  /// False, and nothing changed, when the key is there already.
  bool insert(std::uint64_t key, std::uint64_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slot_of(key);
    if (slot.key == key) return false;
    slot = {key, value};
    ++size_;
    return true;
  }
  void assign(std::uint64_t key, std::uint64_t value) {
    if (!insert(key, value)) slot_of(key).value = value;
  }

 private:
  struct Slot {
    std::uint64_t key;
    std::uint64_t value;
  };
  static std::size_t hash(std::uint64_t key) noexcept {
    key *= 0x9E3779B97F4A7C15u;  // 2^64 over the golden ratio
    return static_cast<std::size_t>(key ^ key >> 32);
  }
  Slot& slot_of(std::uint64_t key) noexcept {
    for (std::size_t i = hash(key);; ++i) {
      Slot& slot = slots_[i & (slots_.size() - 1)];
      if (slot.key == key || slot.key == absent) return slot;
    }
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2, Slot{absent, 0});
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.key != absent) slot_of(slot.key) = slot;
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace embedpool::io::tokenizing
