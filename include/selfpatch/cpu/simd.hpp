// simd: a short vector of floats or doubles, as wide as the registers the compiler may use.
//
//   using V = simd<float>;                            // 16 lanes with AVX-512, 8 with AVX2, 4 with SSE2 or NEON
//   fma(V::load(p), 2.0f, V::load(q)).store(q);       // q[i] = p[i] * 2 + q[i]
//
// It is the vector extension of g++ and clang in a struct: no intrinsics, so it means the same on every machine.
// Loads and stores need no alignment; sums across lanes are made in one fixed order.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace selfpatch {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

/// f(0), f(1), ... f(N-1) with constants (std::integral_constant), so that arrays of vectors become registers.
template <int N, class F>
[[gnu::always_inline]] inline void unroll(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>()), ...);
  }(std::make_integer_sequence<int, N>());
}

namespace detail {

// Outside of simd, as g++ 12 takes a dependent vector type for its element where both stand in one class.
template <class T, int Bytes>
struct vector_of {
  typedef T type __attribute__((vector_size(Bytes)));
};

}  // namespace detail

/// `width` numbers of type T. The size is part of the type, so that code compiled for different instruction sets does
/// not share functions.
template <class T, int Bytes = vector_bytes>
struct simd {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "simd<T>: T is float or double");

  using value_type = T;
  using integer = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  static constexpr int width = Bytes / int(sizeof(T));

  using vector = typename detail::vector_of<T, Bytes>::type;
  using integers = typename detail::vector_of<integer, Bytes>::type;  ///< lanes' bits; as a mask all of them or none

  vector v;

  simd() = default;
  simd(vector lanes) : v(lanes) {}
  simd(T x) : v(x - vector{}) {}  // every lane x: x - 0 keeps the sign of zero

  static simd load(const T* p) {
    simd a;
    std::memcpy(&a.v, p, sizeof a.v);
    return a;
  }
  /// The same where p is a multiple of the vector's size.
  static simd load_aligned(const T* p) { return load(static_cast<const T*>(__builtin_assume_aligned(p, Bytes))); }
  /// The first n of p, n >= 0; the other lanes are `fill`, their memory is not touched.
  static simd load(const T* p, std::ptrdiff_t n, T fill = 0) {
    T lanes[width];
    for (int i = 0; i < width; ++i) lanes[i] = i < n ? p[i] : fill;
    return load(lanes);
  }
  void store(T* p) const { std::memcpy(p, &v, sizeof v); }
  void store(T* p, std::ptrdiff_t n) const {
    T lanes[width];
    store(lanes);
    for (int i = 0; i < width; ++i)
      if (i < n) p[i] = lanes[i];
  }
  static simd from_bits(integers bits) {
    simd a;
    std::memcpy(&a.v, &bits, sizeof a.v);
    return a;
  }
  integers bits() const {
    integers b;
    std::memcpy(&b, &v, sizeof b);
    return b;
  }

  T operator[](int lane) const { return v[lane]; }

  friend simd operator+(simd a, simd b) { return a.v + b.v; }
  friend simd operator-(simd a, simd b) { return a.v - b.v; }
  friend simd operator*(simd a, simd b) { return a.v * b.v; }
  friend simd operator/(simd a, simd b) { return a.v / b.v; }
  friend simd operator-(simd a) { return -a.v; }
  simd& operator+=(simd b) { return *this = *this + b; }
  simd& operator-=(simd b) { return *this = *this - b; }
  simd& operator*=(simd b) { return *this = *this * b; }

  friend integers operator<(simd a, simd b) { return a.v < b.v; }
  friend integers operator>(simd a, simd b) { return a.v > b.v; }
  friend integers operator<=(simd a, simd b) { return a.v <= b.v; }
  friend integers operator>=(simd a, simd b) { return a.v >= b.v; }
  friend integers operator==(simd a, simd b) { return a.v == b.v; }

  /// a * b + c, rounded once where the machine has the instruction.
  friend simd fma(simd a, simd b, simd c) { return a.v * b.v + c.v; }
  /// m ? a : b, lane by lane.
  friend simd select(integers m, simd a, simd b) { return m ? a.v : b.v; }
  /// a where it is greater, else b: with a NaN in either, b. So m = max(x, m) skips NaN and m = max(m, x) takes it.
  friend simd max(simd a, simd b) { return a.v > b.v ? a.v : b.v; }
  /// a where it is less, else b.
  friend simd min(simd a, simd b) { return a.v < b.v ? a.v : b.v; }
  friend simd abs(simd a) {
    constexpr integer magnitude = sizeof(T) == 4 ? 0x7fffffff : 0x7fffffffffffffff;
    return from_bits(a.bits() & magnitude);
  }

  friend simd sqrt(simd a) {
    typename detail::vector_of<T, 16>::type part[Bytes / 16];
    std::memcpy(part, &a.v, Bytes);
    for (auto& p : part) {
#ifdef __SSE2__  // std::sqrt may set errno, so compilers take it lane by lane
      if constexpr (sizeof(T) == 4)
        p = __builtin_ia32_sqrtps(p);
      else
        p = __builtin_ia32_sqrtpd(p);
#else
      for (int i = 0; i < 16 / int(sizeof(T)); ++i) p[i] = std::sqrt(p[i]);
#endif
    }
    std::memcpy(&a.v, part, Bytes);
    return a;
  }

  /// The lanes' sum, upper half onto lower half until one is left.
  friend T sum(simd a) {
    return fold(a, [](T x, T y) { return x + y; });
  }
  /// The greatest lane; NaN lanes may or may not be skipped.
  friend T max(simd a) {
    return fold(a, [](T x, T y) { return x > y ? x : y; });
  }

 private:
  template <class F>
  static T fold(simd a, F f) {
    T lanes[width];
    a.store(lanes);
    for (int half = width / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lanes[i] = f(lanes[i], lanes[i + half]);
    return lanes[0];
  }
};

namespace detail {

// Half of the lanes of a and b in turn: a0 b0 a1 b1 ... from the lower (0) or the upper (1) half.
template <int Upper, class T, int Bytes, int... I>
simd<T, Bytes> interleave(simd<T, Bytes> a, simd<T, Bytes> b, std::integer_sequence<int, I...>) {
  constexpr int W = simd<T, Bytes>::width;
  return __builtin_shufflevector(a.v, b.v, (Upper * W / 2 + I / 2 + I % 2 * W)...);
}

}  // namespace detail

/// The sums of W vectors, W = width: lane i is sum(r[i]), to the bit. The vectors are overwritten.
template <class T, int Bytes>
simd<T, Bytes> sums(simd<T, Bytes>* r) {
  constexpr int W = simd<T, Bytes>::width;
  constexpr auto lanes = std::make_integer_sequence<int, W>();
  const auto halve = [&]<int Half>(std::integral_constant<int, Half>, const auto& next) {
    unroll<Half>([&](auto i) {
      r[i] = detail::interleave<0>(r[i], r[i + Half], lanes) + detail::interleave<1>(r[i], r[i + Half], lanes);
    });
    if constexpr (Half > 1) next(std::integral_constant<int, Half / 2>(), next);
  };
  halve(std::integral_constant<int, W / 2>(), halve);
  return r[0];
}

/// Transposes the W x W matrix whose rows are r[0 .. W-1], W = width, in registers: log2(W) rounds of perfect shuffles.
template <class T, int Bytes>
void transpose_block(simd<T, Bytes>* r) {
  constexpr int W = simd<T, Bytes>::width;
  constexpr auto lanes = std::make_integer_sequence<int, W>();
  simd<T, Bytes> t[W];
  for (int round = 1; round < W; round *= 2) {
    unroll<W / 2>([&](auto i) {
      t[2 * i] = detail::interleave<0>(r[i], r[i + W / 2], lanes);
      t[2 * i + 1] = detail::interleave<1>(r[i], r[i + W / 2], lanes);
    });
    unroll<W>([&](auto i) { r[i] = t[i]; });
  }
}

}  // namespace selfpatch
