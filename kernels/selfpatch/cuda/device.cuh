// device: what all device code is written against.
//
// Compiled by nvcc a kernel is a kernel. Compiled by a C++ compiler with tests/simt on the include
// path, the same source runs on the CPU, every thread a fiber, and what it does is checked
// (docs/kernels/simt.md). Only the headers of this layer know which of the two it is: device,
// numbers, block, warp, async, mma, launch. Each operation that is inline PTX under nvcc has its
// functional model beside it.
#pragma once

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#elif __has_include(<simt.hpp>)
#include <simt.hpp>
#else
#error "selfpatch/cuda: compile with nvcc, or for the CPU with tests/simt on the include path"
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

namespace selfpatch::device_code {

inline constexpr int warp_size = 32;
inline constexpr unsigned all_lanes = 0xffffffffu;

/// Whether the code being compiled may use bulk copies and barriers that count bytes (sm_90 on).
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
inline constexpr bool has_bulk_copies = false;
#else
inline constexpr bool has_bulk_copies = true;
#endif

__device__ __forceinline__ int lane() { return int(threadIdx.x) % warp_size; }
__device__ __forceinline__ int warp() { return int(threadIdx.x) / warp_size; }

template <class T>
__device__ __forceinline__ constexpr T least(T a, T b) {
  return a < b ? a : b;
}
template <class T>
__device__ __forceinline__ constexpr T most(T a, T b) {
  return a < b ? b : a;
}

/// The same bits as another type of the same size.
template <class To, class From>
__device__ __forceinline__ To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace selfpatch::device_code
