// dtype: the number types of the library and what each is summed in.
#pragma once

#include <bit>
#include <cstdint>

namespace selfpatch {

/// bfloat16: the upper half of a float. Conversion rounds to nearest even and keeps NaN quiet; the
/// bits are those of the CUDA toolkit's type of the same name.
struct bf16 {
  std::uint16_t bits = 0;

  constexpr bf16() = default;
  explicit constexpr bf16(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = nan ? 0x7fff : std::uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
  }
  explicit constexpr operator float() const {
    return std::bit_cast<float>(std::uint32_t(bits) << 16);
  }
};

/// The type sums of T are made in: double for double, float for everything narrower.
template <class T>
struct accumulator {
  using type = float;
};
template <>
struct accumulator<double> {
  using type = double;
};
template <class T>
using sum_of = typename accumulator<T>::type;

}  // namespace selfpatch
