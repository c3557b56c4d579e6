// async: barriers in shared memory, and copies that arrive at them.
//
//   barrier* b: init(arrivals) by one thread, barrier_fence(), __syncthreads()
//   b->arrive()  b->expect(bytes)     one arrival; the second announces bytes of a bulk copy
//   b->wait(use)                      until use number 0, 1, 2, ... of the barrier is complete
//
// A wait names the absolute number of the use. The hardware is given its parity, which cannot tell
// use n from use n + 2: a waiter more than one phase away from the barrier passes too early, or
// hangs, and only under load. On the CPU the full number is compared, and such a waiter is an
// error. The rule that follows: every consumer waits for and releases every entry of a ring, in
// order.
#pragma once

#include <selfpatch/cuda/block.cuh>

namespace selfpatch::device_code {

struct barrier {
  std::uint64_t word;

#if defined(__CUDACC__)
  __device__ __forceinline__ void init(int arrivals) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(address()), "r"(arrivals) : "memory");
  }
  __device__ __forceinline__ void arrive() {
    asm volatile("{.reg .b64 state; mbarrier.arrive.shared.b64 state, [%0];}" ::"r"(address())
                 : "memory");
  }
  __device__ __forceinline__ void expect(int bytes) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    asm volatile(
        "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(address()),
        "r"(bytes)
        : "memory");
#else
    __trap();
#endif
  }
  __device__ __forceinline__ void wait(unsigned use) {
    std::uint32_t done = 0;
    do {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
      asm volatile(
          "{.reg .pred p;\n\tmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
          "selp.b32 %0, 1, 0, p;}"
          : "=r"(done)
          : "r"(address()), "r"(use & 1)
          : "memory");
#else
      asm volatile(
          "{.reg .pred p;\n\tmbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n\t"
          "selp.b32 %0, 1, 0, p;}"
          : "=r"(done)
          : "r"(address()), "r"(use & 1)
          : "memory");
#endif
    } while (!done);
  }
  __device__ __forceinline__ std::uint32_t address() const {
    return std::uint32_t(__cvta_generic_to_shared(&word));
  }
#else
  void init(int arrivals, simt::location at = simt::location::current()) {
    simt::current_block().barrier_init(&word, std::uint32_t(arrivals), {"barrier::init", at});
  }
  void arrive(simt::location at = simt::location::current()) {
    simt::current_block().barrier_arrive(&word, 0, {"barrier::arrive", at});
  }
  void expect(int bytes, simt::location at = simt::location::current()) {
    simt::current_block().barrier_arrive(&word, bytes, {"barrier::expect", at});
  }
  void wait(unsigned use, simt::location at = simt::location::current()) {
    simt::current_block().barrier_wait(&word, use, {"barrier::wait", at});
  }
#endif
};

#if defined(__CUDACC__)

__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
  return std::uint32_t(__cvta_generic_to_shared(p));
}

/// Makes initialized barriers visible to the copy engine; followed by __syncthreads.
__device__ __forceinline__ void barrier_fence() {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// A multiple of 16 bytes from global to shared memory by the copy engine, which takes them off
/// what `b` expects.
__device__ __forceinline__ void copy_bulk(void* to, const void* from, int bytes, barrier* b) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(to)),
      "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(b->address())
      : "memory");
#else
  __trap();
#endif
}

/// 16 bytes from global to shared memory, on their way while the thread goes on.
__device__ __forceinline__ void copy_16(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)),
               "l"(__cvta_generic_to_global(from))
               : "memory");
}
/// An arrival at `b` once all copy_16 of this thread so far have landed.
__device__ __forceinline__ void arrive_after_copies(barrier* b) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(b->address()) : "memory");
}
/// Closes a group of copy_16.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Until at most the `Open` latest groups of this thread are on their way.
template <int Open>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Open) : "memory");
}

#else

inline void barrier_fence() {}  // memory order between engines is not modelled

inline void copy_bulk(void* to, const void* from, int bytes, barrier* b,
                      simt::location at = simt::location::current()) {
  simt::current_block().copy_bulk(to, from, std::size_t(bytes), &b->word, {"copy_bulk", at});
}
inline void copy_16(void* to, const void* from, simt::location at = simt::location::current()) {
  simt::current_block().copy_16(to, from, {"copy_16", at});
}
inline void arrive_after_copies(barrier* b, simt::location at = simt::location::current()) {
  simt::current_block().arrive_after_copies(&b->word, {"arrive_after_copies", at});
}
inline void commit_copies() { simt::current_block().commit_copies(); }
template <int Open>
void wait_copies() {
  simt::current_block().wait_copies(Open);
}

#endif

}  // namespace selfpatch::device_code
