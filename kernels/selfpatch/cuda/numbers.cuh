// numbers: the 16-bit types of kernels, and floats made of them.
//
// A 32-bit word holds two values, the lower one first. Both types are storage only: arithmetic is
// in float.
#pragma once

#include <selfpatch/core/dtype.hpp>
#include <selfpatch/cuda/device.cuh>

namespace selfpatch {

/// IEEE half. Conversion rounds to nearest even; what is too large becomes infinite.
struct f16 {
  std::uint16_t bits = 0;

  constexpr f16() = default;
  explicit constexpr f16(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t sign = u >> 16 & 0x8000u, size = u & 0x7fffffffu;
    if (size > 0x7f800000u)
      bits = 0x7fff;
    else if (size >= 0x477ff000u)
      bits = std::uint16_t(sign | 0x7c00u);
    else if (size >= 0x38800000u)
      bits = std::uint16_t(sign | rounded(size - 0x38000000u, 13));
    else if (size >= 0x33000000u)  // subnormal: the mantissa with its leading one, shifted
      bits = std::uint16_t(sign | rounded((size & 0x7fffffu) | 0x800000u, 126 - int(size >> 23)));
    else
      bits = std::uint16_t(sign);
  }
  explicit constexpr operator float() const {
    const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u;
    const std::uint32_t fraction = bits & 1023u;
    if (!exponent) {
      const float size = float(fraction) * 5.9604644775390625e-8f;  // 2^-24
      return sign ? -size : size;
    }
    const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
  }

 private:
  static constexpr std::uint32_t rounded(std::uint32_t value, int drop) {
    const std::uint32_t half = 1u << (drop - 1), kept = value >> drop;
    const std::uint32_t rest = value & ((1u << drop) - 1);
    return kept + (rest > half || (rest == half && (kept & 1u)) ? 1u : 0u);
  }
};

namespace device_code {

template <class T>
inline constexpr bool is_16_bit = false;
template <>
inline constexpr bool is_16_bit<bf16> = true;
template <>
inline constexpr bool is_16_bit<f16> = true;

/// The two values of a word.
template <class T>
struct pair_of;

template <>
struct pair_of<bf16> {
  __device__ __forceinline__ static float low(std::uint32_t w) { return bits_as<float>(w << 16); }
  __device__ __forceinline__ static float high(std::uint32_t w) {
    return bits_as<float>(w & 0xffff0000u);
  }
  __device__ __forceinline__ static std::uint32_t pack(float low, float high) {
#if defined(__CUDA_ARCH__)
    std::uint32_t w;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(high), "f"(low));
    return w;
#else
    return bf16(low).bits | std::uint32_t(bf16(high).bits) << 16;
#endif
  }
};

template <>
struct pair_of<f16> {
  __device__ __forceinline__ static float one(std::uint16_t h) {
#if defined(__CUDA_ARCH__)
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
    return x;
#else
    f16 x;
    x.bits = h;
    return float(x);
#endif
  }
  __device__ __forceinline__ static float low(std::uint32_t w) { return one(std::uint16_t(w)); }
  __device__ __forceinline__ static float high(std::uint32_t w) {
    return one(std::uint16_t(w >> 16));
  }
  __device__ __forceinline__ static std::uint32_t pack(float low, float high) {
#if defined(__CUDA_ARCH__)
    std::uint32_t w;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(high), "f"(low));
    return w;
#else
    return f16(low).bits | std::uint32_t(f16(high).bits) << 16;
#endif
  }
};

/// 2^x in one instruction; results below the least normal number are zero.
__device__ __forceinline__ float exp2_fast(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}

}  // namespace device_code
}  // namespace selfpatch
