#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "embedpool/cuda/grid/grid_thread.hpp"
#include "embedpool/cuda/grid/host_block.hpp"

namespace embedpool::cuda {

/// A GridThread on the host. Asynchronous copies arrive at the wait and not before, so that one that is missing shows.
class HostThread {
 public:
  HostThread(HostBlock& block, int index) : block_(&block), index_(index) {}

  Index block() const noexcept { return block_->block(); }
  Index blocks() const noexcept { return block_->blocks(); }
  int index() const noexcept { return index_; }
  int threads() const noexcept { return block_->threads(); }
  int lane() const noexcept { return index_ % warp_size; }
  int warp() const noexcept { return index_ / warp_size; }
  std::byte* shared() const noexcept { return block_->shared(); }
  void synchronize() const { block_->wait(index_, HostBlock::Wait::block); }
  void synchronize_warp() const { block_->wait(index_, HostBlock::Wait::warp); }

  template <class T>
  T exchange(T value, int from) const {
    show(value);
    const T taken = seen<T>(from);
    synchronize_warp();
    return taken;
  }

  LeftFragment load_matrices(const std::byte* row) const {
    return load_tiles(row, [&](const std::byte* const(&rows)[8], int i) {
      std::uint16_t pair[2];
      std::memcpy(pair, rows[lane() / 4] + 4 * (lane() % 4), sizeof pair);
      return pair[i];
    });
  }
  LeftFragment load_matrices_transposed(const std::byte* row) const {
    return load_tiles(row, [&](const std::byte* const(&rows)[8], int i) {
      std::uint16_t value;
      std::memcpy(&value, rows[2 * (lane() % 4) + i] + 2 * (lane() / 4), sizeof value);
      return value;
    });
  }

  template <class T>
  SumFragment multiply_add(SumFragment c, const LeftFragment& a, const RightFragment& b, T) const {
    struct Parts {
      LeftFragment a;
      RightFragment b;
    };
    show(Parts{a, b});
    const auto value = [](std::uint32_t pair, int k) {
      return to_float(T{static_cast<std::uint16_t>(pair >> (16 * (k % 2)))});
    };
    for (int i = 0; i < 4; ++i) {
      const int row = lane() / 4 + i / 2 * 8, column = 2 * (lane() % 4) + i % 2;
      float sum = 0;  // products of 16-bit values are exact in float
      for (int k = 0; k < 16; ++k) {
        const LeftFragment left = seen<Parts>(row % 8 * 4 + k % 8 / 2).a;
        const RightFragment right = seen<Parts>(column * 4 + k % 8 / 2).b;
        sum += value(left[static_cast<std::size_t>(row / 8 + k / 8 * 2)], k) * value(right[static_cast<std::size_t>(k / 8)], k);
      }
      c[static_cast<std::size_t>(i)] += sum;
    }
    synchronize_warp();
    return c;
  }

  void copy_async(std::byte* to, const std::byte* from) const { open_.push_back({to, from}); }
  void commit_copies() const { groups_.push_back(std::exchange(open_, {})); }
  template <int n>
  void wait_for_copies() const {
    const std::size_t done = groups_.size() - std::min<std::size_t>(groups_.size(), n);
    for (std::size_t i = 0; i < done; ++i)
      for (const auto& [to, from] : groups_[i]) std::memcpy(to, from, 16);
    groups_.erase(groups_.begin(), groups_.begin() + static_cast<std::ptrdiff_t>(done));
  }

 private:
  struct Copy {
    std::byte* to;
    const std::byte* from;
  };

  template <class T>
  void show(const T& value) const {
    static_assert(sizeof(T) <= 32 && std::is_trivially_copyable_v<T>);
    std::memcpy(block_->slot(index_), &value, sizeof value);
    synchronize_warp();
  }
  template <class T>
  T seen(int lane_from) const {
    T value;
    std::memcpy(&value, block_->slot(warp() * warp_size + lane_from), sizeof value);
    return value;
  }
  template <class Read>
  LeftFragment load_tiles(const std::byte* row, const Read& read) const {
    show(row);
    LeftFragment pairs;
    for (int tile = 0; tile < 4; ++tile) {
      const std::byte* rows[8];
      for (int i = 0; i < 8; ++i) rows[i] = seen<const std::byte*>(tile * 8 + i);
      const std::uint32_t low = read(rows, 0), high = read(rows, 1);
      pairs[static_cast<std::size_t>(tile)] = low | high << 16;
    }
    synchronize_warp();
    return pairs;
  }

  HostBlock* block_;
  int index_;
  mutable std::vector<Copy> open_{};
  mutable std::vector<std::vector<Copy>> groups_{};
};
static_assert(GridThread<HostThread>);

}  // namespace embedpool::cuda
