// simt: kernels written for a GPU, run on the CPU and watched.
//
//   simt::launch(blocks, threads, shared_bytes, [&] { kernel(arguments...); });
//   simt::with on({.races = true, .order = simt::order::shuffled});
//
// Every thread of a block is a fiber (scheduler.hpp, fiber.hpp); barriers, collectives, mbarriers
// and copies are functional models that check how they are used (block.hpp); shared memory is
// poisoned and guarded (arena.hpp) and may be searched for races (races.hpp). Wrong use throws
// simt::error with the places in the source. It says nothing about speed.
//
// This header gives a kernel the names it expects from the CUDA compiler. The operations that have
// no such name (matrix multiply, copies, barriers) are in the device layer of the kernels.
#pragma once

#include "block.hpp"

namespace simt {

/// Runs `body` once per thread, block after block.
inline void launch(dim3 grid, dim3 threads, std::size_t shared, const std::function<void()>& body) {
  const options& o = current_options();
  if (!threads.size() || threads.size() > 1024)
    throw error("a block of " + std::to_string(threads.size()) + " threads");
  if (shared > o.shared)
    throw error("a block asks for " + std::to_string(shared) + " bytes of shared memory, of " +
                std::to_string(o.shared));
  const stacks on(threads.size(), o.stack);
  const unsigned blocks = grid.size();
  for (unsigned i = 0; i < blocks; ++i) {
    const unsigned b = o.order == order::reverse ? blocks - 1 - i : i;
    block(grid, threads, {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)}, shared, body, on,
          o)
        .run();
  }
}

enum class shuffle { index, exclusive_or, down, up };

template <class T>
T exchange(std::uint32_t mask, T value, int argument, int width, shuffle how, const site& where) {
  static_assert(sizeof(T) <= 8);
  struct part {
    T in, out;
    int argument, width;
    shuffle how;
    int source(int lane) const {
      const int first = lane & ~(width - 1);
      const int from = how == shuffle::index          ? first + (argument & (width - 1))
                       : how == shuffle::exclusive_or ? lane ^ argument
                       : how == shuffle::down         ? lane + argument
                                                      : lane - argument;
      const bool outside = from < first || from >= first + width;
      return outside ? lane : from;
    }
  } mine{value, value, argument, width, how};
  current_block().collective(mask, where, &mine, [mask](void** brought) {
    for (int lane = 0; lane < 32; ++lane) {
      if (!(mask >> lane & 1)) continue;
      part& p = *static_cast<part*>(brought[lane]);
      const int from = p.source(lane);
      if (mask >> from & 1)
        p.out = static_cast<part*>(brought[from])->in;
      else
        arena::spoil(&p.out, sizeof p.out);  // a lane that is not there: anything, on hardware
    }
  });
  return mine.out;
}

inline std::uint32_t ballot(std::uint32_t mask, bool vote, const site& where) {
  struct part {
    bool vote;
    std::uint32_t all;
  } mine{vote, 0};
  current_block().collective(mask, where, &mine, [mask](void** brought) {
    std::uint32_t all = 0;
    for (int l = 0; l < 32; ++l)
      if (mask >> l & 1) all |= std::uint32_t(static_cast<part*>(brought[l])->vote) << l;
    for (int l = 0; l < 32; ++l)
      if (mask >> l & 1) static_cast<part*>(brought[l])->all = all;
  });
  return mine.all;
}

}  // namespace simt

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define threadIdx (simt::current_thread->index)
#define blockIdx (simt::current_block().index())
#define blockDim (simt::current_block().extent())
#define gridDim (simt::current_block().grid())

inline void __syncthreads(simt::location at = simt::location::current()) {
  simt::current_block().sync_threads({"__syncthreads", at});
}
inline void __syncwarp(unsigned mask = ~0u, simt::location at = simt::location::current()) {
  simt::current_block().collective(
      mask, {"__syncwarp", at}, nullptr, [](void**) {}, true);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              simt::location at = simt::location::current()) {
  return simt::exchange(mask, value, lane, width, simt::shuffle::index, {"__shfl_sync", at});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  simt::location at = simt::location::current()) {
  return simt::exchange(mask, value, bits, width, simt::shuffle::exclusive_or,
                        {"__shfl_xor_sync", at});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int by, int width = 32,
                   simt::location at = simt::location::current()) {
  return simt::exchange(mask, value, by, width, simt::shuffle::down, {"__shfl_down_sync", at});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int by, int width = 32,
                 simt::location at = simt::location::current()) {
  return simt::exchange(mask, value, by, width, simt::shuffle::up, {"__shfl_up_sync", at});
}
inline unsigned __ballot_sync(unsigned mask, bool vote,
                              simt::location at = simt::location::current()) {
  return simt::ballot(mask, vote, {"__ballot_sync", at});
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
