// device: where tensors live and who computes on them.
//
// A device is a tag. It brings three things: memory<D> (raw storage), context<D> (what a
// computation runs on: threads or a stream, and an arena) and, per op, kernel<Op, D> (the numbers).
// Nothing above the backends names one.
//
//   reference   plain loops, one thread, any number type: the oracle of every other device
//   cpu         fast kernels on a pool of threads
#pragma once

#include <selfpatch/core/error.hpp>
#include <selfpatch/core/parallel.hpp>
#include <selfpatch/core/profile.hpp>

#include <cstring>
#include <new>
#include <unordered_map>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace selfpatch {

struct reference {};
struct cpu {};

/// Raw storage of a device, aligned to 64 bytes. Blocks of 2 MiB and more are asked for in pages of
/// that size: products over large matrices otherwise wait for address translation.
template <class Device>
struct memory {
  static constexpr std::size_t large_page = std::size_t(2) << 20;

  static void* allocate(std::size_t bytes) {
    void* p = ::operator new(bytes, alignment(bytes));
#ifdef MADV_HUGEPAGE
    if (bytes >= large_page) ::madvise(p, bytes, MADV_HUGEPAGE);  // advice: no error matters
#endif
    return p;
  }
  static void free(void* p, std::size_t bytes) { ::operator delete(p, alignment(bytes)); }
  static void zero(void* p, std::size_t bytes) {
    if (bytes) std::memset(p, 0, bytes);
  }
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
  }

 private:
  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t(bytes >= large_page ? large_page : 64);
  }
};

/// Memory that is kept when it is given back: the buffers of one step serve the next, so a loop
/// allocates in its first round only. For one thread at a time.
template <class Device>
class arena {
 public:
  arena() = default;
  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;
  ~arena() { trim(); }

  void* allocate(std::size_t bytes) {
    live_ += bytes;
    peak_ = live_ > peak_ ? live_ : peak_;
    auto& kept = kept_[bytes];
    if (kept.empty()) {
      ++misses_;
      return memory<Device>::allocate(bytes);
    }
    void* p = kept.back();
    kept.pop_back();
    return p;
  }
  void free(void* p, std::size_t bytes) {
    live_ -= bytes;
    kept_[bytes].push_back(p);
  }

  /// Gives what is not in use back to the system.
  void trim() {
    for (auto& [bytes, kept] : kept_) {
      for (void* p : kept) memory<Device>::free(p, bytes);
      kept.clear();
    }
  }

  std::size_t peak_bytes() const { return peak_; }      ///< most bytes in use at one time
  std::size_t live_bytes() const { return live_; }      ///< bytes in use now
  std::size_t system_calls() const { return misses_; }  ///< allocations that went to the system

 private:
  std::unordered_map<std::size_t, std::vector<void*>> kept_;
  std::size_t live_ = 0, peak_ = 0, misses_ = 0;
};

/// What computations run on. Tensors remember their context and hand it to the ops they are given
/// to; a tensor made without one lives on the heap and is computed on by the calling thread.
template <class Device>
class context {
 public:
  explicit context(int threads = 1) : pool_(threads) {}

  int threads() const { return pool_.threads(); }
  selfpatch::arena<Device>& arena() { return arena_; }

  /// Ops applied from now on are timed; null: no longer.
  void watch(profile* p) { watching_ = p; }
  profile* watching() const { return watching_; }

  /// f(c) for c in 0 .. chunks-1; see thread_pool.
  template <class F>
  void parallel(index chunks, const F& f) {
    pool_(chunks, f);
  }

 private:
  thread_pool pool_;
  selfpatch::arena<Device> arena_;
  profile* watching_ = nullptr;
};

template <class Device>
using context_of = context<Device>*;

/// f(c) for every chunk, on the context if there is one.
template <class Device, class F>
void parallel(context<Device>* on, index chunks, const F& f) {
  if (on)
    on->parallel(chunks, f);
  else
    for (index c = 0; c < chunks; ++c) f(c);
}

/// f(begin, end) over rows in chunks of `grain`: the cut depends on the shape alone.
template <class Device, class F>
void parallel_rows(context<Device>* on, index rows, index grain, const F& f) {
  const index chunks = (rows + grain - 1) / grain;
  parallel(on, chunks, [&](index c) { f(c * grain, std::min(rows, (c + 1) * grain)); });
}

template <class Op, class Device>
inline constexpr bool no_kernel_for_this_op_on_this_device = false;

/// The numbers of an op on a device. `reference` stands in the op's header, the others in the
/// backend's folder.
template <class Op, class Device>
struct kernel {
  static_assert(no_kernel_for_this_op_on_this_device<Op, Device>,
                "kernel<Op, Device>: no kernel for this op on this device; include the backend "
                "(<selfpatch/selfpatch.hpp> brings the cpu)");
};

}  // namespace selfpatch
