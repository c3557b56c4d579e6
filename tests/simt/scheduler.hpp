// scheduler: the threads of one block as fibers, one of which runs at a time.
//
// A warp runs until all its lanes wait, then the next one does. A thread that polls has one try per
// round. When a round moves nothing the block is stuck, and the error says who waits where.
#pragma once

#include "fiber.hpp"
#include "options.hpp"
#include "site.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

namespace simt {

enum class state : std::uint8_t { ready, at_barrier, in_collective, polling, done };

struct thread {
  fiber on{};
  int id = 0, lane = 0, warp = 0;
  dim3 index{};
  state is = state::ready;
  site waits_in{};
};

/// Stacks for the threads of a block, kept from one block to the next.
class stacks {
 public:
  stacks(std::size_t count, std::size_t bytes) : bytes_(bytes), size_(count * bytes) {
    void* p = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw error("no memory for the stacks of the threads");
    memory_ = static_cast<char*>(p);
  }
  stacks(const stacks&) = delete;
  stacks& operator=(const stacks&) = delete;
  ~stacks() { munmap(memory_, size_); }

  char* at(int i) const { return memory_ + std::size_t(i) * bytes_; }
  /// Tops are staggered: with equal ones all stacks would share the same sets of the cache.
  std::size_t bytes(int i) const { return bytes_ - std::size_t(i % 64) * 192; }

  void mark(int i) const { std::memset(at(i), canary, canaries); }
  bool overflowed(int i) const {
    return std::any_of(at(i), at(i) + canaries, [](char c) { return c != canary; });
  }

 private:
  static constexpr std::size_t canaries = 64;
  static constexpr char canary = 0x27;
  std::size_t bytes_, size_;
  char* memory_;
};

class scheduler;
inline thread_local scheduler* running = nullptr;
inline thread_local thread* current_thread = nullptr;

class scheduler {
 public:
  scheduler(dim3 extent, dim3 index, const std::function<void()>& body, const stacks& on,
            const options& o)
      : options_(o),
        threads_(extent.size()),
        body_(body),
        stacks_(on),
        extent_(extent),
        index_(index),
        random_(o.seed * 2654435761u + index.x * 40503u + index.y * 9973u + 1) {
    for (unsigned i = 0; i < extent.size(); ++i) {
      thread& t = threads_[i];
      t.id = int(i);
      t.lane = t.id % 32;
      t.warp = t.id / 32;
      t.index = {i % extent.x, i / extent.x % extent.y, i / (extent.x * extent.y)};
      on.mark(t.id);
      prepare(t.on, on.at(t.id), on.bytes(t.id), &scheduler::entry);
    }
  }
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  dim3 extent() const { return extent_; }
  dim3 index() const { return index_; }

  /// Ends the running thread, and with it the launch.
  [[noreturn]] void fail(const std::string& what) const {
    throw error(what + " [block " + std::to_string(index_.x) + ", thread " +
                std::to_string(current_thread->id) + "]");
  }

 protected:
  virtual ~scheduler() { running = nullptr; }
  virtual bool unstick() = 0;                  ///< a last chance before a deadlock is reported
  virtual void returned(const thread& t) = 0;  ///< a thread has ended

  void run_threads() {
    running = this;
    while (done_ < threads_.size()) {
      moved_ = false;
      for (std::size_t w : warp_order()) run_warp(w * 32);
      if (!moved_ && done_ < threads_.size() && !unstick()) throw error(stuck());
    }
    for (const thread& t : threads_)
      if (stacks_.overflowed(t.id)) throw error("a thread's stack overflowed");
  }

  void wait(state how, const site& where) {
    thread& me = *current_thread;
    me.is = how;
    me.waits_in = where;
    switch_to(me.on, origin_);
  }
  void moved() { moved_ = true; }

  std::size_t draw(std::size_t below) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ % below;
  }
  /// One of `count` things that may come in any order.
  std::size_t choose(std::size_t count) {
    if (options_.order == order::shuffled) return draw(count);
    return options_.order == order::reverse ? count - 1 : 0;
  }

  const options options_;
  std::vector<thread> threads_;
  std::size_t done_ = 0;

 private:
  static void entry() {
    scheduler& s = *running;
    thread& me = *current_thread;
    arrived_from(s.origin_);
    try {
      s.body_();
    } catch (const std::exception& e) {
      s.failure_ = e.what();
    }
    me.is = state::done;
    switch_to(me.on, s.origin_, true);
  }

  std::vector<std::size_t> warp_order() {
    std::vector<std::size_t> warps((threads_.size() + 31) / 32);
    for (std::size_t i = 0; i < warps.size(); ++i) warps[i] = i;
    if (options_.order == order::reverse) std::reverse(warps.begin(), warps.end());
    if (options_.order == order::shuffled)
      for (std::size_t i = warps.size(); i-- > 1;) std::swap(warps[i], warps[draw(i + 1)]);
    return warps;
  }

  void run_warp(std::size_t first) {
    const std::size_t count = std::min<std::size_t>(32, threads_.size() - first);
    for (bool again = true; again;) {
      again = false;
      const std::size_t turn = options_.order == order::shuffled ? draw(count) : 0;
      for (std::size_t i = 0; i < count; ++i) {
        const bool back = options_.order == order::reverse;
        thread& t = threads_[first + (back ? count - 1 - i : (i + turn) % count)];
        if (t.is != state::ready) continue;
        resume(t);
        again = true;
      }
    }
    for (std::size_t l = first; l < first + count; ++l)
      if (threads_[l].is == state::polling) threads_[l].is = state::ready;
  }

  void resume(thread& t) {
    current_thread = &t;
    switch_to(origin_, t.on);
    current_thread = nullptr;
    if (!failure_.empty()) throw error(failure_);
    if (t.is != state::done) return;
    ++done_;
    moved_ = true;
    returned(t);
  }

  std::string stuck() const {
    std::map<std::string, std::pair<int, int>> where;  // threads, and the first of them
    for (const thread& t : threads_)
      if (t.is != state::done) ++where.try_emplace(t.waits_in.text(), 0, t.id).first->second.first;
    std::string all = "deadlock:";
    for (const auto& [place, who] : where)
      all += ' ' + std::to_string(who.first) + " threads, the first " + std::to_string(who.second) +
             ", wait in " + place + ';';
    return all;
  }

  const std::function<void()>& body_;
  const stacks& stacks_;
  dim3 extent_, index_;
  fiber origin_{};
  bool moved_ = false;
  std::string failure_;
  std::uint32_t random_;
};

}  // namespace simt
