// parity_hashed: the reproducible numbers of recorded runs, a pure function of (name, seed, place).
//
//   key = mix(fnv1a(name) ^ mix(seed))
//   u_i = (mix(key + (i + 1) golden) >> 40  -  2^23) 2^-23      in [-1, 1), exact in float
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/core/shape.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace parity {

/// n numbers.
inline std::vector<float> hashed(std::string_view name, std::uint64_t seed, selfpatch::index n) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (const char c : name) h = (h ^ std::uint64_t(static_cast<unsigned char>(c))) * 0x100000001B3u;
  const auto stream = selfpatch::random::with_key(selfpatch::mix(h ^ selfpatch::mix(seed)));
  std::vector<float> u(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < u.size(); ++i)
    u[i] = float(std::int64_t(stream.at(i) >> 40) - (std::int64_t(1) << 23)) * 0x1p-23f;
  return u;
}

}  // namespace parity
