#pragma once
#include <atomic>
#include <csignal>

namespace embedpool::program {

/// Set by the first SIGINT or SIGTERM while one of these lives; the second ends the program as ever.
class StopSignal {
 public:
  StopSignal() {
    requested() = false;
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int number) {
      requested() = true;
      std::signal(number, SIG_DFL);
    });
  }
  ~StopSignal() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static std::atomic<bool>& requested() {
    static std::atomic<bool> flag{false};
    return flag;
  }
};

}  // namespace embedpool::program
