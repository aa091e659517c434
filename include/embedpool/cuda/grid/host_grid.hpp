#pragma once
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/cuda/grid/fibers.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// In which order the host grid runs blocks and threads. A kernel that forgot a barrier gives different results.
enum class RunOrder { rising, falling };

/// A kernel broke a rule of the grid: a barrier or an exchange that not all threads reach.
class GridError : public Error {
 public:
  using Error::Error;
};

/// What the threads of one block share while the host runs them.
class HostBlock {
 public:
  /// The points at which a thread waits for others.
  enum class Wait { none, block, warp };

  HostBlock(const LaunchShape& shape, int threads, RunOrder order)
      : shape_(shape),
        threads_(threads),
        order_(order),
        shared_(static_cast<std::size_t>(shape.shared_bytes)),
        waits_(static_cast<std::size_t>(threads)),
        slots_(waits_.size()) {}

  /// Runs every thread to its end; `fibers` have one for each.
  /// Errors  GridError for threads that wait for one that has ended or waits elsewhere
  void run(Index block, Fibers& fibers) {
    block_ = block;
    fibers_ = &fibers;
    fibers.restart();
    std::ranges::fill(waits_, Wait::none);
    std::ranges::fill(shared_, std::byte{0xff});  // NaN as floating point: what was never written shows
    for (bool live = true; live;) {
      live = false;
      bool progress = false;
      for (int i = 0; i < threads_; ++i) {
        const int thread = order_ == RunOrder::rising ? i : threads_ - 1 - i;
        if (fibers.ended(thread)) continue;
        live = true;
        if (waits_[index(thread)] != Wait::none) continue;
        fibers.resume(thread);
        progress = true;
      }
      if (open_barriers()) continue;
      if (live && !progress) throw GridError(stuck());
    }
  }

  Index block() const noexcept { return block_; }
  Index blocks() const noexcept { return shape_.blocks; }
  int threads() const noexcept { return threads_; }
  std::byte* shared() noexcept { return shared_.data(); }
  void wait(int thread, Wait kind) {
    waits_[index(thread)] = kind;
    fibers_->pause();
  }
  /// 32 bytes in which a lane shows its warp a value.
  std::byte* slot(int thread) noexcept { return slots_[index(thread)].bytes; }

 private:
  struct alignas(16) Slot {
    std::byte bytes[32];
  };
  static std::size_t index(int thread) noexcept { return static_cast<std::size_t>(thread); }

  bool waiting(int first, int count, Wait kind) const {
    return std::all_of(waits_.begin() + first, waits_.begin() + first + count, [=](Wait w) { return w == kind; });
  }
  /// Lets go whoever waits at a barrier that all have reached; threads that ended count as absent.
  bool open_barriers() {
    for (int i = 0; i < threads_; ++i)
      if (fibers_->ended(i)) waits_[index(i)] = Wait::none;
    bool opened = false;
    const auto open = [&](int first, int count, Wait kind) {
      if (!waiting(first, count, kind)) return;
      std::fill_n(waits_.begin() + first, count, Wait::none);
      opened = true;
    };
    open(0, threads_, Wait::block);
    for (int first = 0; first < threads_; first += warp_size) open(first, warp_size, Wait::warp);
    return opened;
  }
  std::string stuck() const {
    std::string text = "block " + std::to_string(block_) + " is stuck:";
    for (int i = 0; i < threads_ && text.size() < 200; ++i) {
      const char* const state = fibers_->ended(i)                      ? "ended"
                                : waits_[index(i)] == Wait::block      ? "waits for its block"
                                                                       : "waits for its warp";
      if (i % warp_size < 2) text += " thread " + std::to_string(i) + " " + state + ";";
    }
    return text;
  }

  LaunchShape shape_;
  int threads_;
  RunOrder order_;
  std::vector<std::byte> shared_;
  std::vector<Wait> waits_;
  std::vector<Slot> slots_;
  Fibers* fibers_ = nullptr;
  Index block_ = 0;
};

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

/// Runs a kernel on the host, on the calling thread: block after block, the threads of a block in turn.
///
/// Errors  GridError for more shared memory than a block can have, and for barriers that not all threads reach
template <Kernel K>
void run_on_host(const K& kernel, RunOrder order = RunOrder::rising) {
  const LaunchShape shape = kernel.launch_shape();
  if (shape.shared_bytes < 0 || shape.shared_bytes > largest_shared_bytes)
    throw GridError("launch with " + std::to_string(shape.shared_bytes) + " bytes of shared memory a block, of " +
                    std::to_string(largest_shared_bytes));
  HostBlock block(shape, K::threads, order);
  Fibers fibers(K::threads, [&](int thread) { kernel(HostThread(block, thread)); });
  for (Index i = 0; i < shape.blocks; ++i) block.run(order == RunOrder::rising ? i : shape.blocks - 1 - i, fibers);
}

}  // namespace embedpool::cuda
