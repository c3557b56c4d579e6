// hash: XXH64, a 64-bit checksum of bytes, as fast as they can be read.
//
// Four lanes eat 32 bytes a turn, each with  v <- rotl(v + w p2, 31) p1;  they are merged, the tail
// is folded in word by word, and a finalizer spreads every bit. It finds what disks and copies do
// to a file; it does not stop an attacker.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace selfpatch {

namespace detail {

struct xxh64_lanes {
  static constexpr std::uint64_t p1 = 0x9E3779B185EBCA87u, p2 = 0xC2B2AE3D27D4EB4Fu,
                                 p3 = 0x165667B19E3779F9u, p4 = 0x85EBCA77C2B2AE63u,
                                 p5 = 0x27D4EB2F165667C5u;

  static std::uint64_t round(std::uint64_t v, std::uint64_t word) {
    return std::rotl(v + word * p2, 31) * p1;
  }
  template <class Word>
  static std::uint64_t load(const std::byte* p) {
    Word w;
    std::memcpy(&w, p, sizeof w);
    return w;
  }

  static std::uint64_t tail(std::uint64_t h, const std::byte* p, std::size_t left) {
    for (; left >= 8; p += 8, left -= 8)
      h = std::rotl(h ^ round(0, load<std::uint64_t>(p)), 27) * p1 + p4;
    for (; left >= 4; p += 4, left -= 4)
      h = std::rotl(h ^ load<std::uint32_t>(p) * p1, 23) * p2 + p3;
    for (; left > 0; ++p, --left) h = std::rotl(h ^ load<std::uint8_t>(p) * p5, 11) * p1;
    h = (h ^ h >> 33) * p2;
    h = (h ^ h >> 29) * p3;
    return h ^ h >> 32;
  }
};

}  // namespace detail

/// XXH64 of the bytes. Little-endian machines only, as the whole of io.
inline std::uint64_t xxh64(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
  static_assert(std::endian::native == std::endian::little, "xxh64: reads words as they lie");
  using lanes = detail::xxh64_lanes;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  if (left < 32) return lanes::tail(seed + lanes::p5 + left, p, left);

  std::array<std::uint64_t, 4> v{seed + lanes::p1 + lanes::p2, seed + lanes::p2, seed,
                                 seed - lanes::p1};
  for (; left >= 32; left -= 32)
    for (auto& lane : v) {
      lane = lanes::round(lane, lanes::load<std::uint64_t>(p));
      p += 8;
    }
  std::uint64_t h =
      std::rotl(v[0], 1) + std::rotl(v[1], 7) + std::rotl(v[2], 12) + std::rotl(v[3], 18);
  for (const auto lane : v) h = (h ^ lanes::round(0, lane)) * lanes::p1 + lanes::p4;
  return lanes::tail(h + bytes.size(), p, left);
}

inline std::uint64_t xxh64(std::string_view text, std::uint64_t seed = 0) {
  return xxh64(std::as_bytes(std::span(text)), seed);
}

/// The word as 16 hexadecimal digits.
inline std::string hex(std::uint64_t word) {
  std::string digits(16, '0');
  for (std::size_t i = 16; i-- > 0; word >>= 4) digits[i] = "0123456789abcdef"[word & 15];
  return digits;
}

}  // namespace selfpatch
