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
#define EMBEDPOOL_FIBERS_JUMP __attribute__((no_sanitize("address", "undefined")))
#else
#define EMBEDPOOL_FIBERS_JUMP
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

  /// Makes every fiber begin again. Requires  none was left in the middle
  void restart() {
    for (Fiber& fiber : fibers_) fiber.state = State::fresh;
  }
  bool ended(int i) const { return at(i).state == State::ended; }

  /// Runs fiber i until it pauses or ends. Requires  !ended(i)
  void resume(int i) {
    Fiber& fiber = at(i);
    current_ = i;
    const bool is_new = fiber.stack == nullptr;
    if (is_new) make(fiber, i);
    fiber.state = State::running;
    switch_to(fiber, is_new);
    if (fiber.error) std::rethrow_exception(std::exchange(fiber.error, nullptr));
  }
  /// Back to whoever called resume. Requires  a fiber runs
  void pause() {
    switch_back(at(current_));
  }

 private:
  static constexpr std::size_t stack_bytes = 256 * 1024;  // sanitizers want much more than the code itself
  enum class State { fresh, running, ended };
  using Stack = std::unique_ptr<std::byte[]>;
  using Place = void* [5];
  struct Fiber {
    Place place{};  // where it paused
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

  /// A stack that begins in `entry`.
  void make(Fiber& fiber, int i) {
    fiber.stack = new_stack();
    getcontext(&first_);
    first_.uc_stack.ss_sp = fiber.stack.get();
    first_.uc_stack.ss_size = stack_bytes;
    first_.uc_link = nullptr;  // a fiber never ends: it pauses behind its last run
    // makecontext passes ints alone: the pointer goes in two halves.
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&first_, reinterpret_cast<void (*)()>(&Fibers::entry), 3, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self), i);
  }
  static void entry(unsigned high, unsigned low, int i) {
    auto* const self = reinterpret_cast<Fibers*>((static_cast<std::uintptr_t>(high) << 32) | low);
    Fiber& fiber = self->at(i);
    self->arrived(nullptr);
    for (;;) {
      try {
        self->body_(i);
      } catch (...) {
        fiber.error = std::current_exception();
      }
      fiber.state = State::ended;
      self->switch_back(fiber);
    }
  }

  // A new stack takes a context; from then on jumps do, which unlike swapcontext make no call of the system. Sanitizers
  // are told of the switch, and must not take the jump for a frame that is left: they would clear the whole stack's marks.
  [[gnu::noinline]] EMBEDPOOL_FIBERS_JUMP void jump(Place& here, Place& there, bool is_new) {
    if (__builtin_setjmp(here) != 0) return;
    if (is_new) setcontext(&first_);
    jump_to(there);
  }
  [[gnu::noinline]] EMBEDPOOL_FIBERS_JUMP static void jump_to(Place& there) { __builtin_longjmp(there, 1); }

  void switch_to(Fiber& fiber, bool is_new) {
    void* shadow = nullptr;
    leaving(&shadow, fiber.stack.get(), stack_bytes);
    jump(caller_, fiber.place, is_new);
    arrived_at_caller(shadow);
  }
  void switch_back(Fiber& fiber) {
    leaving(&fiber.shadow, caller_stack_, caller_bytes_);
    jump(fiber.place, caller_, false);
    arrived(fiber.shadow);
  }

#ifdef EMBEDPOOL_FIBERS_UNDER_ASAN
  static void leaving(void** shadow, const void* stack, std::size_t bytes) {
    __sanitizer_start_switch_fiber(shadow, stack, bytes);
  }
  void arrived(void* shadow) { __sanitizer_finish_switch_fiber(shadow, &caller_stack_, &caller_bytes_); }
  static void arrived_at_caller(void* shadow) { __sanitizer_finish_switch_fiber(shadow, nullptr, nullptr); }
#else
  static void leaving(void**, const void*, std::size_t) {}
  void arrived(void*) {}
  static void arrived_at_caller(void*) {}
#endif
  const void* caller_stack_ = nullptr;
  std::size_t caller_bytes_ = 0;

  std::function<void(int)> body_;
  std::vector<Fiber> fibers_;
  ucontext_t first_{};
  Place caller_{};
  int current_ = 0;
};

}  // namespace embedpool::cuda
