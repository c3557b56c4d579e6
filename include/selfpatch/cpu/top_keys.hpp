// top_keys: the K best of a list, for as many lists as a vector has lanes, in registers.
//
//   top_keys<4> best;                             // W empty lists
//   best.insert(similarity, number);              // a candidate for every list
//   best.store(n, wanted, numbers, similarities)  // of the first n lists, best first; wanted <= K
//
// A candidate is a 64-bit key: its similarity, as an integer in the same order, above its inverted
// number. The greater key is the more similar or, at a tie, has the lower number, so an insertion
// is K exchanges and candidates may come in any order. NaN is above all else, and -0 is 0. Number
// -1 with similarity -inf is an empty slot, below all else.
#pragma once

#include <selfpatch/core/shape.hpp>
#include <selfpatch/cpu/simd.hpp>

#include <bit>
#include <cstdint>
#include <limits>

namespace selfpatch {

template <int K>
class top_keys {
 public:
  using V = simd<float>;
  using integers = V::integers;
  static constexpr int W = V::width;

  top_keys() {
    const integers none = integers{} - 1;
    for (auto& keys : best_) join(V(-std::numeric_limits<float>::infinity()), none, keys);
  }

  [[gnu::always_inline]] void insert(V similarity, integers number) {
    pair key;
    join(similarity, number, key);
    unroll<K>([&](auto s) {
      unroll<2>([&](auto half) {
        const keys held = best_[s][half];
        const auto stays = held > key[half];
        best_[s][half] = stays ? held : key[half];
        key[half] = stays ? key[half] : held;
      });
    });
  }

  void store(index lists, index wanted, std::int32_t* numbers, float* similarities) const {
    std::int32_t number[K][W];
    float similarity[K][W];
    for (int s = 0; s < K; ++s) {
      integers from[2];
      std::memcpy(from, best_[s], sizeof from);
      const integers inverted = ~every_second<0>(from), bits = every_second<1>(from);
      std::memcpy(number[s], &inverted, sizeof inverted);
      V::from_bits(mirror(bits)).store(similarity[s]);
    }
    for (index i = 0; i < lists; ++i)
      for (index s = 0; s < wanted; ++s) {
        numbers[i * wanted + s] = number[s][i];
        similarities[i * wanted + s] = similarity[s][i];
      }
  }

 private:
  static_assert(std::endian::native == std::endian::little,
                "top_keys: the upper half comes second");
  using keys = simd<double>::integers;
  using pair = keys[2];  // of the lower half of the lists and of the upper one

  /// The order of floats is that of integers, but for the negative ones, where it is the reverse.
  static integers mirror(integers bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

  [[gnu::always_inline]] static void join(V similarity, integers number, pair& to) {
    const V x = similarity + V(0.0f);  // -0 becomes 0
    const integers above = (x == x) ? mirror(x.bits()) : integers{} + 0x7fffffff;
    const V low = V::from_bits(~number), high = V::from_bits(above);
    constexpr auto lanes = std::make_integer_sequence<int, W>();
    const V joined[2] = {detail::interleave<0>(low, high, lanes),
                         detail::interleave<1>(low, high, lanes)};
    std::memcpy(to, joined, sizeof joined);
  }

  template <int From>
  static integers every_second(const integers* of) {
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      return __builtin_shufflevector(of[0], of[1], (2 * I + From)...);
    }
    (std::make_integer_sequence<int, W>());
  }

  pair best_[K];
};

}  // namespace selfpatch
