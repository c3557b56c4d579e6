// machine: what this machine can do at most, measured in the process that is being benchmarked, and rates against it.
#pragma once

#include <selfpatch/cpu/simd.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <vector>

namespace bench {

/// Processor seconds of this thread: what other programs take does not count.
inline double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// The best of several timings of f, in seconds.
template <class F>
double best_seconds(int rounds, const F& f) {
  double best = 1e30;
  for (int r = 0; r < rounds; ++r) {
    const double start = thread_seconds();
    f();
    best = std::min(best, thread_seconds() - start);
  }
  return best;
}

/// Floating point operations per second of one thread that does nothing but multiply and add in registers.
template <class T>
double fma_peak() {
  static const double peak = [] {
    constexpr int sums = 12, steps = 100000;
    using V = selfpatch::simd<T>;
    V x = T(0.999999), y = T(1e-6), from[sums];
    for (int i = 0; i < sums; ++i) from[i] = T(i);
    benchmark::DoNotOptimize(x);
    benchmark::DoNotOptimize(y);
    benchmark::DoNotOptimize(from);  // else equal chains would become one
    const double seconds = best_seconds(100, [&] {
      typename V::vector s[sums];
      selfpatch::unroll<sums>([&](auto i) { s[i] = from[i].v; });
      for (int step = 0; step < steps; ++step) selfpatch::unroll<sums>([&](auto i) { s[i] = s[i] * x.v + y.v; });
      V total = T(0);
      selfpatch::unroll<sums>([&](auto i) { total += V(s[i]); });
      T result = sum(total);
      benchmark::DoNotOptimize(result);
    });
    return 2.0 * sums * steps * V::width / seconds;
  }();
  return peak;
}

/// Bytes per second, read and written, of one thread copying arrays that no cache holds.
inline double copy_bandwidth() {
  static const double bandwidth = [] {
    constexpr std::size_t bytes = std::size_t(64) << 20;
    std::vector<char> from(bytes, 1), to(bytes, 2);
    const double seconds = best_seconds(10, [&] {
      std::memcpy(to.data(), from.data(), bytes);
      benchmark::ClobberMemory();
    });
    return 2.0 * bytes / seconds;
  }();
  return bandwidth;
}

/// Declares what one iteration computes and moves: rates, and their share of what `threads` threads could do at most.
template <class T>
void declare(benchmark::State& state, double flops, double bytes, int threads = 1) {
  using benchmark::Counter;
  constexpr auto rate = Counter::kIsIterationInvariantRate;
  if (flops > 0) {
    state.counters["GFLOP/s"] = Counter(1e-9 * flops, rate);
    state.counters["%peak"] = Counter(100 * flops / (threads * fma_peak<T>()), rate);
  }
  if (bytes > 0) {
    state.counters["GB/s"] = Counter(1e-9 * bytes, rate);
    state.counters["%copy"] = Counter(100 * bytes / copy_bandwidth(), rate);
  }
}

}  // namespace bench
