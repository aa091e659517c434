#pragma once
#include <memory>
#include <utility>
#include <vector>

namespace embedpool {

/// A T of the calling thread for as long as this lives; then it is kept as it is for whoever needs one next on the thread.
///
/// For scratch that is held while an executor runs jobs: a pool that steals work may give the thread that waits another
/// forward pass meanwhile, and that one takes a T of its own. (Scratch within one job can be plain thread_local.)
template <class T>
class ThreadScratch {
 public:
  ThreadScratch() {
    auto& kept = idle();
    if (kept.empty()) {
      value_ = std::make_unique<T>();
    } else {
      value_ = std::move(kept.back());
      kept.pop_back();
    }
  }
  ~ThreadScratch() {
    if (value_) keep(std::move(value_));
  }
  ThreadScratch(ThreadScratch&&) noexcept = default;
  ThreadScratch& operator=(ThreadScratch&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }

  T& operator*() const noexcept { return *value_; }
  T* operator->() const noexcept { return value_.get(); }

 private:
  static std::vector<std::unique_ptr<T>>& idle() noexcept {
    thread_local std::vector<std::unique_ptr<T>> kept;
    return kept;
  }
  static void keep(std::unique_ptr<T> value) noexcept {
    try {
      idle().push_back(std::move(value));
    } catch (...) {  // no memory for the list: the next one is made anew
    }
  }

  std::unique_ptr<T> value_;
};

}  // namespace embedpool
