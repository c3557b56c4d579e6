// head_lanes: one head of P channels in eight lanes of a warp, an octet.
//
//   lane s has channels (8 m + s) V .. (8 m + s) V + V - 1,  m = 0 .. M - 1,  V values in 16 bytes
//
// For every m the octet's access is one run of up to 128 bytes. P is any multiple of V up to 8 M V;
// what lies behind P is zero when read and not written. `Full` promises P = 8 M V.
#pragma once

#include <selfpatch/cuda/stores.cuh>
#include <selfpatch/cuda/warp.cuh>

namespace selfpatch::device_code {

inline constexpr int octet_size = 8;

/// Which lane of its octet a thread is, and which octet of its block it is in.
__device__ __forceinline__ int octet_lane() { return int(threadIdx.x) % octet_size; }
__device__ __forceinline__ int octet() { return int(threadIdx.x) / octet_size; }

template <class T, int M, bool Full>
struct head_lane {
  static constexpr int V = 16 / int(sizeof(T));
  using channels = float[M][V];

  int P;

  /// P, as a constant where the instance is for one P only.
  __device__ __forceinline__ static int width(int P) { return Full ? octet_size * M * V : P; }

  __device__ __forceinline__ int channel(int m) const {
    return (m * octet_size + octet_lane()) * V;
  }
  __device__ __forceinline__ bool has(int m) const { return Full || channel(m) < P; }

  /// x = this lane's channels of the head that begins at `head`.
  template <memory_space From = memory_space::global>
  __device__ __forceinline__ void load(const T* head, channels& x) const {
#pragma unroll
    for (int m = 0; m < M; ++m) {
      if (has(m)) {
        load_floats<T, V, From>(head + channel(m), x[m]);
      } else {
#pragma unroll
        for (int v = 0; v < V; ++v) x[m][v] = 0;
      }
    }
  }
  /// head = x, or head += x
  __device__ __forceinline__ void store(T* head, const channels& x, bool add = false) const {
#pragma unroll
    for (int m = 0; m < M; ++m)
      if (has(m)) store_floats(head + channel(m), x[m], add);
  }

  /// x . y over the head, in every lane of the octet. All lanes of the warp take part.
  __device__ __forceinline__ static float dot(const channels& x, const channels& y) {
    float sum = 0;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int v = 0; v < V; ++v) sum += x[m][v] * y[m][v];
    return warp_sum<octet_size>(sum);
  }
  /// x += a y
  __device__ __forceinline__ static void accumulate(channels& x, float a, const channels& y) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int v = 0; v < V; ++v) x[m][v] += a * y[m][v];
  }
};

/// An array of one row per patch of an image, in global or in shared memory.
template <class T, memory_space In = memory_space::global>
struct rows_of {
  T* first;
  int stride;

  __device__ __forceinline__ T* operator()(int i) const { return first + long(i) * stride; }
  __device__ __forceinline__ T at(int i, int j) const {
    if constexpr (In == memory_space::shared)
      return load_shared((*this)(i) + j);
    else
      return (*this)(i)[j];
  }
  /// This lane's channels of row i.
  template <class Lane>
  __device__ __forceinline__ void load(const Lane& lane, int i, typename Lane::channels& x) const {
    lane.template load<In>((*this)(i), x);
  }
};

}  // namespace selfpatch::device_code
