// ranking: the similarity of two patches, and the one order candidates are ranked in.
//
//   sim = a . b / (max(|a|, 1e-12) max(|b|, 1e-12))
//
// Greater similarity first, NaN before all numbers, equal ones by the lower patch. A similarity and
// its patch make one 64-bit key whose order as an integer is that order, so that ranking is
// comparing integers: above, the bits of the float, made monotone; below, the patch, complemented.
// The least key of all reads back as (-inf, -1): an empty slot.
#pragma once

#include <selfpatch/cuda/block.cuh>

namespace selfpatch::device_code {

using rank_key = unsigned long long;

inline constexpr std::uint32_t float_sign = 0x80000000u, float_infinity = 0x7f800000u;

/// |x| from the sum of squares, at least 1e-12; NaN stays NaN.
__device__ __forceinline__ float length_of(float squares) {
  const float l = ::sqrtf(squares);
  return l < 1e-12f ? 1e-12f : l;
}
__device__ __forceinline__ float similarity_of(float dot, float squares_a, float squares_b) {
  return dot / (length_of(squares_a) * length_of(squares_b));
}

__device__ __forceinline__ rank_key key_of(float similarity, int patch) {
  const auto bits = bits_as<std::uint32_t>(similarity + 0.f);  // -0 and 0 are equal
  std::uint32_t order = bits & float_sign ? ~bits : bits | float_sign;
  if ((bits & ~float_sign) > float_infinity) order = ~0u;
  return rank_key(order) << 32 | std::uint32_t(~patch);
}
inline constexpr rank_key empty_key = rank_key(~(float_sign | float_infinity)) << 32;

__device__ __forceinline__ int patch_of(rank_key key) { return int(~std::uint32_t(key)); }
__device__ __forceinline__ float similarity_of(rank_key key) {
  const auto order = std::uint32_t(key >> 32);
  return bits_as<float>(order & float_sign ? order & ~float_sign : ~order);
}

/// Where the k best of every patch go.
struct found_neighbors {
  std::int32_t* index;  // [patches][k]
  float* similarity;    // [patches][k]
  int k;

  __device__ __forceinline__ void put(long patch, int slot, rank_key key) const {
    index[patch * k + slot] = patch_of(key);
    similarity[patch * k + slot] = similarity_of(key);
  }
};

/// The K greatest keys seen, in registers, in falling order.
template <int K>
struct best_keys {
  rank_key best[K];

  __device__ __forceinline__ best_keys() {
#pragma unroll
    for (int i = 0; i < K; ++i) best[i] = empty_key;
  }
  __device__ __forceinline__ void add(rank_key key) {
#pragma unroll
    for (int i = 0; i < K; ++i) {
      const bool before = key > best[i];
      const rank_key behind = before ? best[i] : key;
      best[i] = before ? key : best[i];
      key = behind;
    }
  }
};

}  // namespace selfpatch::device_code
