// block: everything the threads of a block share and meet in.
//
//   __syncthreads   all threads, at one place in the source, none of which has returned
//   collectives     the lanes a mask names meet; the last to come computes for all
//   mbarriers       arrivals and bytes, phase by phase; a wait names the use it waits for
//   copies          late on purpose: the destination is spoilt when a copy starts, and its data
//                   lands when somebody waits for it
#pragma once

#include "arena.hpp"
#include "races.hpp"
#include "scheduler.hpp"

#include <deque>
#include <optional>

namespace simt {

/// The 64 bits of an mbarrier: completed phases, arrivals it lacks and expects, bytes it lacks.
struct phase_state {
  std::uint32_t phase, missing, expected;
  std::int64_t bytes;

  static constexpr std::uint32_t phases = 1 << 12, arrivals = 1 << 11;
  static phase_state of(std::uint64_t word) {
    return {std::uint32_t(word % phases), std::uint32_t(word >> 12) % arrivals,
            std::uint32_t(word >> 23) % arrivals, std::int64_t(word) >> 34};
  }
  std::uint64_t word() const {
    return std::uint64_t(phase) | std::uint64_t(missing) << 12 | std::uint64_t(expected) << 23 |
           std::uint64_t(bytes) << 34;
  }
  bool initialized() const { return expected != 0 && expected != arrivals - 1; }
};

class block : public scheduler {
 public:
  block(dim3 grid, dim3 extent, dim3 index, std::size_t shared, const std::function<void()>& body,
        const stacks& on, const options& o)
      : scheduler(extent, index, body, on, o),
        grid_(grid),
        shared_(shared),
        meetings_((extent.size() + 31) / 32) {
    if (o.races) races_.emplace(int(extent.size()) + 1, shared);
  }

  /// Runs all threads to their end. Throws `error` with what they did wrong.
  void run() {
    run_threads();
    shared_.check_guards();
    if (!copies_.empty()) throw error("the block ended before its copies arrived");
  }

  dim3 grid() const { return grid_; }
  unsigned char* shared() { return shared_.begin(); }

  /// The running thread reads or writes shared memory.
  void touch(const void* p, std::size_t bytes, bool write, const site& where) {
    check_place(p, bytes, bytes, where);
    record(current_thread->id, p, bytes, write, where);
  }

  void sync_threads(const site& where) {
    if (waiting_ && !(barrier_ == where))
      fail("divergent barrier: " + where.text() + " while others wait in " + barrier_.text());
    if (done_) fail("barrier after a thread has returned, " + where.text());
    barrier_ = where;
    if (++waiting_ < threads_.size()) return wait(state::at_barrier, where);
    waiting_ = 0;
    std::vector<int> all;
    for (thread& t : threads_) {
      if (t.is == state::at_barrier) t.is = state::ready;
      all.push_back(t.id);
    }
    if (races_) races_->meet(all);
    moved();
  }

  /// The lanes of `mask` meet; `last(brought)` is called once, with what lane l brought in [l].
  /// Only __syncwarp orders memory: values may be exchanged without that.
  template <class F>
  void collective(std::uint32_t mask, const site& where, void* mine, const F& last,
                  bool orders_memory = false) {
    const thread& me = *current_thread;
    if (!(mask >> me.lane & 1)) fail("a lane its own mask does not name, " + where.text());
    meeting& m = join(meetings_[std::size_t(me.warp)], mask, where);
    m.brought[me.lane] = mine;
    m.here |= 1u << me.lane;
    if (m.here != mask) return wait(state::in_collective, where);
    last(m.brought);
    m.here = 0;
    std::vector<int> lanes;
    for (int l = 0; l < 32; ++l)
      if (mask >> l & 1) {
        lanes.push_back(me.warp * 32 + l);
        threads_[std::size_t(lanes.back())].is = state::ready;
      }
    if (races_ && orders_memory) races_->meet(lanes);
    moved();
  }

  void barrier_init(std::uint64_t* b, std::uint32_t arrivals, const site& where) {
    touch(b, sizeof *b, true, where);
    if (!arrivals || arrivals >= phase_state::arrivals - 1)
      fail("too many arrivals, " + where.text());
    *b = phase_state{0, arrivals, arrivals, 0}.word();
  }

  /// One arrival of the running thread, which announces `bytes` more of this phase.
  void barrier_arrive(std::uint64_t* b, std::int64_t bytes, const site& where) {
    const phase_state s = look(b, where);
    if (!s.missing) fail("more arrivals than the barrier expects, " + where.text());
    if (races_) races_->release(current_thread->id, b);
    settle(b, {s.phase, s.missing - 1, s.expected, s.bytes + bytes});
  }

  /// Returns when use number `use` of the barrier, from 0, is complete. The hardware is given only
  /// the parity of the number: whom parity would let through too early, or never, is wrong here.
  void barrier_wait(std::uint64_t* b, std::uint32_t use, const site& where) {
    for (;;) {
      const phase_state s = look(b, where);
      const int lead = int((s.phase - use + phase_state::phases / 2) % phase_state::phases) -
                       int(phase_state::phases / 2);  // completed phases minus use
      if (lead < 0)
        fail("a waiter " + std::to_string(-lead) + " phase(s) ahead of the barrier, " +
             where.text());
      if (lead > 1)
        fail("a waiter " + std::to_string(lead - 1) + " phase(s) behind the barrier, " +
             where.text());
      if (lead == 1) break;
      if (!deliver(b)) wait(state::polling, where);
    }
    moved();
    if (races_) races_->acquire(current_thread->id, b);
  }

  /// A bulk copy by the copy engine, which takes its bytes off the barrier's phase on arrival.
  void copy_bulk(void* to, const void* from, std::size_t bytes, std::uint64_t* b,
                 const site& where) {
    if (!options_.bulk_copies) fail("this device has no bulk copies, " + where.text());
    if (reinterpret_cast<std::uintptr_t>(from) % 16 || bytes % 16)
      fail("misaligned access, " + where.text());
    check_place(to, bytes, 16, where);
    const int engine = int(threads_.size());
    if (races_) races_->start(current_thread->id, engine);
    record(engine, to, bytes, true, where);
    if (races_) races_->release(engine, b);
    start({to, from, bytes, b, -1, 0});
  }

  /// 16 bytes, copied behind the running thread's back until it waits for them.
  void copy_16(void* to, const void* from, const site& where) {
    if (reinterpret_cast<std::uintptr_t>(from) % 16) fail("misaligned access, " + where.text());
    touch(to, 16, true, where);
    start({to, from, 16, nullptr, current_thread->id, 0});
  }
  /// An arrival of the running thread that happens once its copies so far have.
  void arrive_after_copies(std::uint64_t* b, const site& where) {
    look(b, where);
    if (races_) races_->release(current_thread->id, b);
    start({nullptr, nullptr, 0, b, current_thread->id, 0});
  }
  /// Closes a group of copies of the running thread.
  void commit_copies() {
    for (copy& c : copies_)
      if (c.owner == current_thread->id && !c.barrier) ++c.groups_behind;
  }
  /// Waits until at most the `open` latest groups are on their way.
  void wait_copies(int open) {
    for (std::size_t i = 0; i < copies_.size();) {
      const copy& c = copies_[i];
      const bool due = c.owner == current_thread->id && !c.barrier && c.groups_behind > open;
      if (due)
        land(i);
      else
        ++i;
    }
  }

 private:
  /// The lanes of a mask on their way into one collective operation.
  struct meeting {
    std::uint32_t mask = 0, here = 0;
    site where{};
    void* brought[32] = {};
  };
  struct copy {
    void* to;
    const void* from;
    std::size_t bytes;
    std::uint64_t* barrier;  // where its end is noticed, if at one
    int owner;               // the thread behind whose back it happens; -1: the copy engine
    int groups_behind;       // groups its owner has closed since, this one's included
  };

  bool unstick() override { return deliver(nullptr); }
  void returned(const thread& t) override {
    if (waiting_)
      throw error("divergent barrier: thread " + std::to_string(t.id) +
                  " returned while others wait in " + barrier_.text());
  }

  meeting& join(std::deque<meeting>& open, std::uint32_t mask, const site& where) const {
    meeting* free = nullptr;
    for (meeting& m : open) {
      if (!m.here) {
        free = &m;
      } else if (m.mask == mask) {
        if (m.where == where) return m;
        fail("divergent collective: " + where.text() + " while other lanes are in " +
             m.where.text());
      } else if (m.mask & mask) {
        fail("overlapping masks: " + where.text() + " against " + m.where.text());
      }
    }
    if (!free) free = &open.emplace_back();
    free->mask = mask;
    free->where = where;
    return *free;
  }

  void check_place(const void* p, std::size_t bytes, std::size_t alignment,
                   const site& where) const {
    if (!shared_.holds(p, bytes)) fail("access outside shared memory, " + where.text());
    if (reinterpret_cast<std::uintptr_t>(p) % alignment) fail("misaligned access, " + where.text());
  }
  void record(int actor, const void* p, std::size_t bytes, bool write, const site& where) {
    if (!races_) return;
    const auto race = races_->access(actor, shared_.offset(p), bytes, write, where);
    if (!race.empty()) fail(race);
  }

  phase_state look(std::uint64_t* b, const site& where) const {
    check_place(b, sizeof *b, sizeof *b, where);
    const auto s = phase_state::of(*b);
    if (!s.initialized()) fail("a barrier used before it was initialized, " + where.text());
    return s;
  }
  void settle(std::uint64_t* b, phase_state s) {
    if (!s.missing && !s.bytes)
      s = {(s.phase + 1) % phase_state::phases, s.expected, s.expected, 0};
    *b = s.word();
    moved();
  }

  void start(const copy& c) {
    copies_.push_back(c);
    if (c.bytes) arena::spoil(c.to, c.bytes);
    moved();
  }
  /// Lets one of the copies that `b` waits for arrive, of all if null; false if there is none.
  bool deliver(const std::uint64_t* b) {
    std::vector<std::size_t> due;
    for (std::size_t i = 0; i < copies_.size(); ++i)
      if (copies_[i].barrier && (!b || copies_[i].barrier == b)) due.push_back(i);
    if (due.empty()) return false;
    land(due[choose(due.size())]);
    return true;
  }
  void land(std::size_t i) {
    const copy c = copies_[i];
    copies_.erase(copies_.begin() + std::ptrdiff_t(i));
    if (c.bytes) std::memcpy(c.to, c.from, c.bytes);
    moved();
    if (!c.barrier) return;
    const bool arrival = c.owner >= 0;
    if (arrival) land_before(i, c.owner);
    phase_state s = phase_state::of(*c.barrier);
    s.missing -= arrival;
    s.bytes -= std::int64_t(c.bytes);
    settle(c.barrier, s);
  }
  /// The copies of a thread that came before the arrival that stood at `end`.
  void land_before(std::size_t end, int owner) {
    std::size_t i = 0;
    for (; end > 0; --end) {
      if (copies_[i].owner == owner && !copies_[i].barrier)
        land(i);
      else
        ++i;
    }
  }

  dim3 grid_;
  arena shared_;
  std::vector<std::deque<meeting>> meetings_;  // per warp
  std::size_t waiting_ = 0;
  site barrier_{};
  std::vector<copy> copies_;
  std::optional<race_detector> races_;
};

inline block& current_block() { return static_cast<block&>(*running); }

}  // namespace simt
