// block: the memory threads of a block share, and wide loads and stores.
//
// Shared memory is one arena that a kernel carves up itself; it is reached through load_shared and
// store_shared, which is what lets its use be checked on the CPU. On the GPU they are plain
// accesses.
#pragma once

#include <selfpatch/cuda/numbers.cuh>

namespace selfpatch::device_code {

/// 4, 8 or 16 bytes that travel in one access.
template <int Bytes>
struct packet {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  std::uint32_t word[Bytes / 4];
};

#if defined(__CUDACC__)

__device__ __forceinline__ unsigned char* shared_memory() {
  extern __shared__ __align__(1024) unsigned char selfpatch_shared_memory[];
  return selfpatch_shared_memory;
}

template <class T>
__device__ __forceinline__ T load_shared(const T* p) {
  return *p;
}
template <class T>
__device__ __forceinline__ void store_shared(T* p, T value) {
  *p = value;
}

template <int Bytes>
__device__ __forceinline__ packet<Bytes> load_shared_packet(const void* p) {
  packet<Bytes> v;
  if constexpr (Bytes == 16) {
    const uint4 w = *static_cast<const uint4*>(p);
    v.word[0] = w.x, v.word[1] = w.y, v.word[2] = w.z, v.word[3] = w.w;
  } else if constexpr (Bytes == 8) {
    const uint2 w = *static_cast<const uint2*>(p);
    v.word[0] = w.x, v.word[1] = w.y;
  } else {
    v.word[0] = *static_cast<const unsigned*>(p);
  }
  return v;
}
__device__ __forceinline__ void store_shared_packet(void* p, const packet<16>& v) {
  *static_cast<uint4*>(p) = make_uint4(v.word[0], v.word[1], v.word[2], v.word[3]);
}

/// From global memory that nobody writes while the kernel runs.
template <int Bytes>
__device__ __forceinline__ packet<Bytes> load_global(const void* p) {
  packet<Bytes> v;
  if constexpr (Bytes == 16) {
    const uint4 w = __ldg(static_cast<const uint4*>(p));
    v.word[0] = w.x, v.word[1] = w.y, v.word[2] = w.z, v.word[3] = w.w;
  } else if constexpr (Bytes == 8) {
    const uint2 w = __ldg(static_cast<const uint2*>(p));
    v.word[0] = w.x, v.word[1] = w.y;
  } else {
    v.word[0] = __ldg(static_cast<const unsigned*>(p));
  }
  return v;
}
/// As PTX, since the compiler splits a predicated 16-byte store into four.
__device__ __forceinline__ void store_global(void* p, const packet<16>& v) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)),
               "r"(v.word[0]), "r"(v.word[1]), "r"(v.word[2]), "r"(v.word[3])
               : "memory");
}

#else

inline unsigned char* shared_memory() { return simt::current_block().shared(); }

template <class T>
T load_shared(const T* p, simt::location at = simt::location::current()) {
  simt::current_block().touch(p, sizeof(T), false, {"load_shared", at});
  return *p;
}
template <class T>
void store_shared(T* p, T value, simt::location at = simt::location::current()) {
  simt::current_block().touch(p, sizeof(T), true, {"store_shared", at});
  *p = value;
}

template <int Bytes>
packet<Bytes> load_shared_packet(const void* p, simt::location at = simt::location::current()) {
  simt::current_block().touch(p, Bytes, false, {"load_shared_packet", at});
  packet<Bytes> v;
  std::memcpy(&v, p, Bytes);
  return v;
}
inline void store_shared_packet(void* p, const packet<16>& v,
                                simt::location at = simt::location::current()) {
  simt::current_block().touch(p, 16, true, {"store_shared_packet", at});
  std::memcpy(p, &v, 16);
}

template <int Bytes>
packet<Bytes> load_global(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % Bytes)
    simt::current_block().fail("misaligned load from global memory");
  packet<Bytes> v;
  std::memcpy(&v, p, Bytes);
  return v;
}
inline void store_global(void* p, const packet<16>& v) {
  if (reinterpret_cast<std::uintptr_t>(p) % 16)
    simt::current_block().fail("misaligned store to global memory");
  std::memcpy(p, &v, 16);
}

#endif

/// The values of a packet as floats.
template <class T, int Bytes>
__device__ __forceinline__ void unpack(const packet<Bytes>& v, float* to) {
#pragma unroll
  for (int i = 0; i < Bytes / 4; ++i) {
    if constexpr (is_16_bit<T>) {
      to[2 * i] = pair_of<T>::low(v.word[i]);
      to[2 * i + 1] = pair_of<T>::high(v.word[i]);
    } else {
      to[i] = bits_as<float>(v.word[i]);
    }
  }
}

enum class memory_space { global, shared };

/// N values from p on as floats, in accesses as wide as they can be. p is aligned to them.
template <class T, int N, memory_space From = memory_space::global>
__device__ __forceinline__ void load_floats(const T* p, float (&to)[N]) {
  constexpr int bytes = N * int(sizeof(T)), wide = bytes < 16 ? bytes : 16;
  constexpr int values = wide / int(sizeof(T));
  static_assert(bytes % wide == 0);
#pragma unroll
  for (int i = 0; i < bytes / wide; ++i) {
    if constexpr (From == memory_space::shared)
      unpack<T>(load_shared_packet<wide>(p + i * values), to + i * values);
    else
      unpack<T>(load_global<wide>(p + i * values), to + i * values);
  }
}

}  // namespace selfpatch::device_code
