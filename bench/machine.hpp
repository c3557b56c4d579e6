// machine: what this machine can do at most, measured in the process that is being benchmarked, and rates against it.
#pragma once

#include <selfpatch/core/parallel.hpp>
#include <selfpatch/cpu/simd.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <map>
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

/// The processor's clock at this moment in GHz, from multiplications of integers that wait for each other: 3 cycles each on
/// today's x86-64 and AArch64 processors.
inline double clock_ghz() {
  constexpr int steps = 10000;
  std::uint64_t x = 3;
  const double start = thread_seconds();
  for (int i = 0; i < steps; ++i) {
    x *= x;
    benchmark::DoNotOptimize(x);
  }
  return 3e-9 * steps / (thread_seconds() - start);
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

/// Memory that no cache holds: inputs are rotated through as much.
inline constexpr std::size_t beyond_caches = std::size_t(512) << 20;

/// Bytes per second that so many threads read in order from memory that no cache holds.
inline double read_bandwidth(int threads) {
  using V = selfpatch::simd<float>;
  constexpr selfpatch::index floats = beyond_caches / sizeof(float), chunks = 64, step = 8 * V::width;
  const std::vector<float> from(std::size_t(floats) + step, 1.0f);
  const float* start = from.data();
  while (reinterpret_cast<std::uintptr_t>(start) % sizeof(V)) ++start;
  selfpatch::thread_pool pool(threads);
  double best = 1e30;
  for (int round = 0; round < 5; ++round) {
    const auto began = std::chrono::steady_clock::now();
    const double processor = thread_seconds();
    pool(chunks, [&](selfpatch::index c) {
      V s[8];
      for (V& v : s) v = V(0.0f);
      const float *p = start + c * (floats / chunks), *end = p + floats / chunks;
      for (; p < end; p += step) selfpatch::unroll<8>([&](auto i) { s[i] += V::load(p + i * V::width); });
      float total = sum(((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])));
      benchmark::DoNotOptimize(total);
    });
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
    best = std::min(best, threads == 1 ? thread_seconds() - processor : wall.count());
  }
  return beyond_caches / best;
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

/// The same for what mostly reads: against reading alone, and against the operations of all threads.
template <class T>
void declare_reads(benchmark::State& state, double flops, double bytes, int threads = 1) {
  using benchmark::Counter;
  static std::map<int, double> measured;
  if (!measured.contains(threads)) measured[threads] = read_bandwidth(threads);
  constexpr auto rate = Counter::kIsIterationInvariantRate;
  state.counters["GFLOP/s"] = Counter(1e-9 * flops, rate);
  state.counters["%peak"] = Counter(100 * flops / (threads * fma_peak<T>()), rate);
  state.counters["GB/s"] = Counter(1e-9 * bytes, rate);
  state.counters["%read"] = Counter(100 * bytes / measured[threads], rate);
}

}  // namespace bench
