// warp: sums and maxima over the 32 lanes of a warp, in one fixed order.
#pragma once

#include <selfpatch/cuda/device.cuh>

namespace selfpatch::device_code {

/// The sum over the first `Width` lanes of every `Width`, in each of them.
template <int Width = warp_size>
__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int by = Width / 2; by >= 1; by /= 2) v += __shfl_xor_sync(all_lanes, v, by);
  return v;
}
template <int Width = warp_size>
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int by = Width / 2; by >= 1; by /= 2) v = most(v, __shfl_xor_sync(all_lanes, v, by));
  return v;
}

/// Sums v[0], v[1], ... v[N-1] over the warp at once: lane l returns the sum of v[l % N]. N - 1
/// exchanges that halve what a lane still carries, then a plain sum where N < 32; one by one it
/// would take 5 N. N is a power of two; v is used up.
template <int N>
__device__ __forceinline__ float warp_sums(float (&v)[N]) {
  static_assert(N >= 1 && N <= warp_size && (N & (N - 1)) == 0);
#pragma unroll
  for (int half = N / 2; half >= 1; half /= 2) {
    const bool upper = lane() & half;
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      if (i >= half) continue;  // a bound the unrolled outer loop knows
      const float keep = upper ? v[i + half] : v[i], give = upper ? v[i] : v[i + half];
      v[i] = keep + __shfl_xor_sync(all_lanes, give, half);
    }
  }
#pragma unroll
  for (int by = N; by < warp_size; by *= 2) v[0] += __shfl_xor_sync(all_lanes, v[0], by);
  return v[0];
}

}  // namespace selfpatch::device_code
