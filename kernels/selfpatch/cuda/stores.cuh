// stores: floats rounded to T and written in wide accesses, by the one writer they have.
#pragma once

#include <selfpatch/cuda/block.cuh>

namespace selfpatch::device_code {

/// The floats as values of T, in the words of a packet.
template <class T, int Bytes>
__device__ __forceinline__ packet<Bytes> pack(const float* from) {
  packet<Bytes> v;
#pragma unroll
  for (int i = 0; i < Bytes / 4; ++i) {
    if constexpr (is_16_bit<T>)
      v.word[i] = pair_of<T>::pack(from[2 * i], from[2 * i + 1]);
    else
      v.word[i] = bits_as<std::uint32_t>(from[i]);
  }
  return v;
}

/// 16 bytes that this thread alone reads and writes: not from the cache of constant data.
__device__ __forceinline__ packet<16> reload_global(const void* p) {
#if defined(__CUDA_ARCH__)
  packet<16> v;
  asm volatile("ld.global.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(__cvta_generic_to_global(p))
               : "memory");
  return v;
#else
  return load_global<16>(p);
#endif
}

/// What 16 bytes hold: to = from, or to += from.
template <class T>
__device__ __forceinline__ void store_floats(T* to, const float* from, bool add) {
  constexpr int V = 16 / int(sizeof(T));
  float sum[V];
  if (add) unpack<T>(reload_global(to), sum);
#pragma unroll
  for (int i = 0; i < V; ++i) sum[i] = add ? sum[i] + from[i] : from[i];
  store_global(to, pack<T, 16>(sum));
}

}  // namespace selfpatch::device_code
