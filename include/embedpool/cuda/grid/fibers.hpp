#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMBEDPOOL_FIBERS_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMBEDPOOL_FIBERS_UNDER_ASAN 1
#endif
#endif
#ifdef EMBEDPOOL_FIBERS_UNDER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace embedpool::cuda {

/// Functions that run in turn on one thread, each on a stack of its own until it pauses: the threads of a block on the
/// host. Needs POSIX <ucontext.h>.
///
/// Errors  what a function throws comes out of resume(), which then counts it as ended
class Fibers {
 public:
  /// `body(i)` is what fiber i runs.
  Fibers(int count, std::function<void(int)> body) : body_(std::move(body)), fibers_(static_cast<std::size_t>(count)) {}
  /// Stacks go to the next Fibers of this thread, but those of fibers that were left in the middle, where a sanitizer has
  /// marks that nobody takes away.
  ~Fibers() {
    for (Fiber& fiber : fibers_)
      if (fiber.stack && fiber.state == State::ended) spare_stacks().push_back(std::move(fiber.stack));
  }
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  /// Makes every fiber begin again.
  void restart() {
    for (Fiber& fiber : fibers_) fiber.state = State::fresh;
  }
  bool ended(int i) const { return at(i).state == State::ended; }

  /// Runs fiber i until it pauses or ends. Requires  !ended(i)
  void resume(int i) {
    Fiber& fiber = at(i);
    if (fiber.state == State::fresh) begin(fiber, i);
    current_ = i;
    switch_to(fiber);
    if (fiber.error) std::rethrow_exception(std::exchange(fiber.error, nullptr));
  }
  /// Back to whoever called resume. Requires  a fiber runs
  void pause() {
    Fiber& fiber = at(current_);
    switch_back(fiber, false);
  }

 private:
  static constexpr std::size_t stack_bytes = 256 * 1024;  // sanitizers want much more than the code itself
  enum class State { fresh, running, ended };
  using Stack = std::unique_ptr<std::byte[]>;
  struct Fiber {
    ucontext_t context{};
    Stack stack{};
    std::exception_ptr error{};
    State state = State::fresh;
    void* shadow = nullptr;  // the sanitizer's, while the fiber is paused
  };

  Fiber& at(int i) { return fibers_[static_cast<std::size_t>(i)]; }
  const Fiber& at(int i) const { return fibers_[static_cast<std::size_t>(i)]; }

  static std::vector<Stack>& spare_stacks() {
    thread_local std::vector<Stack> spare;
    return spare;
  }
  static Stack new_stack() {
    if (spare_stacks().empty()) return Stack(new std::byte[stack_bytes]);
    Stack stack = std::move(spare_stacks().back());
    spare_stacks().pop_back();
    return stack;
  }

  void begin(Fiber& fiber, int i) {
    if (!fiber.stack) fiber.stack = new_stack();
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = stack_bytes;
    fiber.context.uc_link = nullptr;  // a fiber ends by switching back for good
    // makecontext passes ints alone: the pointer goes in two halves.
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(&Fibers::entry), 3, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self), i);
    fiber.state = State::running;
  }
  static void entry(unsigned high, unsigned low, int i) {
    auto* const self = reinterpret_cast<Fibers*>((static_cast<std::uintptr_t>(high) << 32) | low);
    Fiber& fiber = self->at(i);
    self->arrived(nullptr);
    try {
      self->body_(i);
    } catch (...) {
      fiber.error = std::current_exception();
    }
    fiber.state = State::ended;
    self->switch_back(fiber, true);
  }

#ifdef EMBEDPOOL_FIBERS_UNDER_ASAN
  void switch_to(Fiber& fiber) {
    void* shadow = nullptr;
    __sanitizer_start_switch_fiber(&shadow, fiber.stack.get(), stack_bytes);
    swapcontext(&caller_, &fiber.context);
    __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr);
  }
  void switch_back(Fiber& fiber, bool for_good) {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber.shadow, caller_stack_, caller_bytes_);
    swapcontext(&fiber.context, &caller_);
    arrived(fiber.shadow);
  }
  void arrived(void* shadow) { __sanitizer_finish_switch_fiber(shadow, &caller_stack_, &caller_bytes_); }
  const void* caller_stack_ = nullptr;
  std::size_t caller_bytes_ = 0;
#else
  void switch_to(Fiber& fiber) { swapcontext(&caller_, &fiber.context); }
  void switch_back(Fiber& fiber, bool) { swapcontext(&fiber.context, &caller_); }
  void arrived(void*) {}
#endif

  std::function<void(int)> body_;
  std::vector<Fiber> fibers_;
  ucontext_t caller_{};
  int current_ = 0;
};

}  // namespace embedpool::cuda
