#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
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

}  // namespace embedpool::cuda
