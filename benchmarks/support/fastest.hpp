#pragma once
#include <benchmark/benchmark.h>

#include "support/peak.hpp"

namespace embedpool::bench {

/// Times every iteration alone and returns the seconds of the fastest: the machine's noise only ever adds time. Needs
/// UseManualTime.
template <class Work>
double fastest(benchmark::State& state, Work&& work) {
  work();  // buffers and pages are warm
  double best = 1e9;
  for (auto _ : state) {
    const double time = seconds(work);
    best = std::min(best, time);
    state.SetIterationTime(time);
  }
  return best;
}

}  // namespace embedpool::bench
