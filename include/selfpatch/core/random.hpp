// random: numbers that depend on what they are for, not on who draws them.
//
// A stream is a key; its i-th number is mix(key + (i + 1) * golden), the SplitMix64 sequence, so
// any thread can draw any number of any stream. The key folds in the seed and what the numbers are
// for:
//
//   random crops = random(seed, purpose::crop, epoch, sample, view);
//   float u = crops.uniform();
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace selfpatch {

/// What a stream of random numbers is for. The values are part of the meaning of a seed: append,
/// never renumber.
enum class purpose : std::uint64_t {
  init = 1,
  shuffle,
  crop,
  color,
  blur,
  drop_path,
  scene,
  evaluation,
  test
};

/// The finaliser of SplitMix64: a bijection of 64-bit words in which every input bit reaches every
/// output bit.
constexpr std::uint64_t mix(std::uint64_t z) {
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

class random {
 public:
  static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

  template <class... Key>
  explicit constexpr random(std::uint64_t seed, purpose use, Key... what)
      : key_(mix(seed ^ 0x5e1f9a7cb0c4d3e2u)) {
    const auto fold = [this](std::uint64_t word) {
      key_ = mix((key_ + golden) ^ mix(word + golden));
    };
    fold(std::uint64_t(use));
    (fold(std::uint64_t(what)), ...);
  }

  /// A stream with a key made elsewhere.
  static constexpr random with_key(std::uint64_t key) { return random(key); }

  /// 64 random bits.
  constexpr std::uint64_t operator()() { return at(next_++); }
  /// The i-th number of the stream, whatever was drawn before.
  constexpr std::uint64_t at(std::uint64_t i) const { return mix(key_ + (i + 1) * golden); }

  /// Uniform in [0, 1), 53 bits.
  constexpr double uniform() { return double((*this)() >> 11) * 0x1p-53; }
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Uniform over 0 .. n-1, 0 < n < 2^32; the bias of the multiplication is below n / 2^32.
  constexpr std::uint64_t below(std::uint64_t n) { return ((*this)() >> 32) * n >> 32; }

  /// Normal with mean 0 and deviation 1 (Box-Muller; two draws each).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  explicit constexpr random(std::uint64_t key) : key_(key) {}

  std::uint64_t key_;
  std::uint64_t next_ = 0;
};

}  // namespace selfpatch
