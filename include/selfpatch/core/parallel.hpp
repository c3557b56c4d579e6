// parallel: a pool of threads over chunks of work.
//
// What is computed never depends on who computes it: the caller cuts the work into chunks by its
// shape, threads take chunks from a counter, and anything summed over chunks is summed by the
// caller in the order of the chunks. So every result has the same bits for any number of threads.
//
// A waiting thread spins for some microseconds, then sleeps: a step has thousands of short regions,
// and machines are shared.
#pragma once

#include <selfpatch/core/shape.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace selfpatch {

class thread_pool {
 public:
  /// `threads` in all, the caller's included; 0 or less means one per processor.
  explicit thread_pool(int threads = 1) {
    if (threads <= 0) threads = std::max(1, int(std::thread::hardware_concurrency()));
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  ~thread_pool() {
    stop_.store(true);
    round_.fetch_add(1);
    round_.notify_all();
    for (auto& w : workers_) w.join();
  }

  int threads() const { return int(workers_.size()) + 1; }

  /// f(c) for every chunk c in 0 .. chunks-1, in any order, on all threads; returns when all are
  /// done. The first exception is passed on. Called from inside a chunk it runs the chunks in order
  /// on the calling thread.
  template <class F>
  void operator()(index chunks, const F& f) {
    if (chunks <= 1 || workers_.empty() || busy_.test_and_set(std::memory_order_acquire)) {
      for (index c = 0; c < chunks; ++c) f(c);
      return;
    }
    call_ = [](const void* g, index c) { (*static_cast<const F*>(g))(c); };
    body_ = &f;
    chunks_ = chunks;
    next_.store(0, std::memory_order_relaxed);
    failed_ = nullptr;
    failing_.clear();
    running_.store(int(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    take();
    wait_until([&] { return running_.load(std::memory_order_acquire) == 0; }, running_);
    const std::exception_ptr failed = std::exchange(failed_, nullptr);  // the next caller's, once busy_ is clear
    busy_.clear(std::memory_order_release);
    if (failed) std::rethrow_exception(failed);
  }

 private:
  void take() {
    for (index c; (c = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) {
      try {
        call_(body_, c);
      } catch (...) {
        if (!failing_.test_and_set()) failed_ = std::current_exception();
      }
    }
  }

  void work() {
    for (int seen = 0;;) {
      wait_until([&] { return round_.load(std::memory_order_acquire) != seen; }, round_);
      seen = round_.load(std::memory_order_acquire);
      if (stop_.load()) return;
      take();
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_all();
    }
  }

  template <class Done>
  static void wait_until(Done done, std::atomic<int>& changes) {
    for (int spin = 0; spin < 2000; ++spin) {
      if (done()) return;
      pause();
    }
    for (int was = changes.load(); !done(); was = changes.load()) changes.wait(was);
  }

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
  }

  std::vector<std::thread> workers_;
  std::atomic<int> round_{0}, running_{0};
  std::atomic<index> next_{0};
  std::atomic<bool> stop_{false};
  std::atomic_flag busy_, failing_;
  std::exception_ptr failed_;
  void (*call_)(const void*, index) = nullptr;
  const void* body_ = nullptr;
  index chunks_ = 0;
};

}  // namespace selfpatch
