#pragma once
#include <fstream>
#include <string>

#include "embedpool/core/types.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace embedpool::program {

/// Begins a new measurement of the largest resident memory of the process: gives back what is free, and forgets the peak
/// until now where the system can (Linux).
inline void reset_peak_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";
}

/// The largest resident memory since then, in bytes, mapped files included; 0 where the system does not tell.
inline Index peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return static_cast<Index>(std::stoll(line.substr(6))) * 1024;
  return 0;
}

}  // namespace embedpool::program
