// vector_math: exp, GELU and the sums of rows, for vectors and for arrays.
//
//   exp(x)          float: error below 2e-7 of the result where that is a normal number; less is 0, more is infinite
//   gelu(x)         x Phi(x), float: error below 1e-6 of the result for x >= -12.9, where it is -3e-37; 0 below -13.2
//   gelu_slope(x)   Phi(x) + x phi(x), float: absolute error below 5e-7, in the lower tail 1e-6 of the result
//   double          the library's functions, lane by lane: for tests, not for speed
//
// NaN in is NaN out. An element's bits do not depend on its place in the array, nor sums on alignment: rows are
// always taken from the left in whole vectors, the rest in a padded one.
#pragma once

#include <selfpatch/core/shape.hpp>
#include <selfpatch/cpu/simd.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace selfpatch::vector_math {

namespace detail {

// exp(x + rest) for x in -87.3 .. 88.7 and a small rest: 2^n e^f with f in +- ln(2)/2, e^f by a polynomial (minimax,
// 1e-8). ln 2 is taken in two parts, the first so short that n times it is exact.
template <int B>
simd<float, B> exp_in_range(simd<float, B> x, simd<float, B> rest) {
  using V = simd<float, B>;
  const V to_integer = 0x1.8p23f;  // adding it rounds to an integer and leaves that in the low bits
  const V shifted = fma(x + rest, V(std::numbers::log2e_v<float>), to_integer);
  const V n = shifted - to_integer;
  const V f = fma(n, V(2.12194440e-4f), fma(n, V(-0.693359375f), x)) + rest;
  V p = fma(V(1.392637600e-3f), f, V(8.363333082e-3f));
  p = fma(p, f, V(4.166655346e-2f));
  p = fma(p, f, V(1.666657606e-1f));
  p = fma(p, f, V(0.5f));
  p = fma(p * f, f, f + V(1.0f));
  return V::from_bits(p.bits() + (shifted.bits() << 23));
}

// For t >= 0: the density phi(t) sqrt(2 pi) = exp(-t^2 / 2), and R with 1 - Phi(t) = exp(-t^2 / 2) R.
// R is a polynomial in u = 1 / (1 + 0.23 t), minimax over t in 0 .. 13.25, 5e-8 of the result.
template <int B>
struct gauss_tail {
  using V = simd<float, B>;
  V e, r;

  explicit gauss_tail(V t) {
    // t^2 in two parts, as its rounding alone would cost 4e-6 at t = 13: head has 12 bits, so head^2 is exact.
    const V head = V::from_bits(t.bits() & ~0xfff);
    const V square = V(-0.5f) * head * head, rest = V(-0.5f) * (t - head) * (t + head);
    e = exp_in_range(max(V(-87.3f), square), rest);
    e = select(t < V(13.2f), e, V(0.0f));
    const V u = V(1.0f) / fma(t, V(0.23f), V(1.0f));
    r = fma(V(-7.840373080e-2f), u, V(2.900901979e-1f));
    r = fma(r, u, V(-2.774229221e-1f));
    r = fma(r, u, V(3.006196678e-1f));
    r = fma(r, u, V(-3.229085198e-2f));
    r = fma(r, u, V(1.192251153e-1f));
    r = fma(r, u, V(8.584342072e-2f));
    r = fma(r, u, V(9.236602898e-2f));
    r = fma(r, u, V(-2.694941384e-5f));
  }
};

template <int B, class F>
simd<double, B> lane_by_lane(simd<double, B> x, F f) {
  for (int i = 0; i < x.width; ++i) x.v[i] = f(x.v[i]);
  return x;
}

// f(vector, place, count) over n values from the left; count is less than the width only in the last one.
template <class T, class F>
void vectors(index n, F f) {
  constexpr index W = simd<T>::width;
  for (index i = 0; i < n; i += W) f(i, n - i < W ? n - i : W);
}

template <class T>
simd<T> load(const T* p, index count) {
  return count == simd<T>::width ? simd<T>::load(p) : simd<T>::load(p, count);
}
template <class T>
void store(simd<T> v, T* p, index count) {
  count == simd<T>::width ? v.store(p) : v.store(p, count);
}

// The lanes' sum of term(i, count) over n values, in four running vectors.
template <class T, class F>
T sum_of_terms(index n, F term) {
  using V = simd<T>;
  constexpr index W = V::width;
  V s[4] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
  index i = 0;
  for (; i + 4 * W <= n; i += 4 * W) unroll<4>([&](auto k) { s[k] += term(i + k * W, W); });
  for (; i < n; i += W) s[0] += term(i, n - i < W ? n - i : W);
  return sum((s[0] + s[1]) + (s[2] + s[3]));
}

}  // namespace detail

template <int B>
simd<float, B> exp(simd<float, B> x) {
  using V = simd<float, B>;
  const V lowest = -87.3365448f, highest = 88.7228394f;  // the logarithms of the least and greatest normal float
  const V inside = min(highest, max(lowest, x));         // keeps NaN
  V y = detail::exp_in_range(inside, V(0.0f)) + (inside - inside);
  y = select(x < lowest, V(0.0f), y);
  return select(x > highest, V(std::numeric_limits<float>::infinity()), y);
}
template <int B>
simd<double, B> exp(simd<double, B> x) {
  return detail::lane_by_lane(x, [](double a) { return std::exp(a); });
}

template <int B>
simd<float, B> gelu(simd<float, B> x) {
  using V = simd<float, B>;
  const detail::gauss_tail<B> tail(abs(x));
  const V below = tail.e * tail.r;
  return x * select(x > V(0.0f), V(1.0f) - below, below);
}
template <int B>
simd<double, B> gelu(simd<double, B> x) {
  return detail::lane_by_lane(x, [](double a) { return a * std::erfc(-a / std::numbers::sqrt2) / 2; });
}

/// The derivative of gelu.
template <int B>
simd<float, B> gelu_slope(simd<float, B> x) {
  using V = simd<float, B>;
  constexpr float density = std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
  const V t = abs(x);
  const detail::gauss_tail<B> tail(t);
  const V below = tail.e * fma(t, V(-density), tail.r);  // at -t
  const V y = select(x > V(0.0f), V(1.0f) - below, below);
  return y + (t - t);
}
template <int B>
simd<double, B> gelu_slope(simd<double, B> x) {
  return detail::lane_by_lane(x, [](double a) {
    const double density = std::numbers::inv_sqrtpi / std::numbers::sqrt2 * std::exp(-a * a / 2);
    return std::erfc(-a / std::numbers::sqrt2) / 2 + a * density;
  });
}

/// y[i] = exp(x[i]). Here and below y may be x.
template <class T>
void exp(const T* x, T* y, index n) {
  detail::vectors<T>(n, [&](index i, index count) { detail::store(exp(detail::load(x + i, count)), y + i, count); });
}

/// y[i] = gelu(x[i])
template <class T>
void gelu(const T* x, T* y, index n) {
  detail::vectors<T>(n, [&](index i, index count) { detail::store(gelu(detail::load(x + i, count)), y + i, count); });
}

/// dx[i] += dy[i] * gelu'(x[i]), or = where it is the first.
template <class T>
void gelu_backward(const T* x, const T* dy, T* dx, index n, bool first = false) {
  detail::vectors<T>(n, [&](index i, index count) {
    const auto slope = gelu_slope(detail::load(x + i, count));
    const auto before = first ? simd<T>(T(0)) : detail::load(dx + i, count);
    detail::store(fma(detail::load(dy + i, count), slope, before), dx + i, count);
  });
}

/// sum x[i]
template <class T>
T sum(const T* x, index n) {
  return detail::sum_of_terms<T>(n, [&](index i, index count) { return detail::load(x + i, count); });
}

/// sum x[i] y[i]
template <class T>
T dot(const T* x, const T* y, index n) {
  return detail::sum_of_terms<T>(
      n, [&](index i, index count) { return detail::load(x + i, count) * detail::load(y + i, count); });
}

/// The greatest x[i], NaN skipped; minus infinity where there is none.
template <class T>
T max(const T* x, index n) {
  using V = simd<T>;
  constexpr T none = -std::numeric_limits<T>::infinity();
  V m = none;
  detail::vectors<T>(n, [&](index i, index count) {
    m = max(count == V::width ? V::load(x + i) : V::load(x + i, count, none), m);
  });
  return max(m);
}

/// y[i] = exp(scale * x[i] - shift); returns the sum of y.
template <class T>
T exp_sum(const T* x, T* y, index n, T scale, T shift) {
  using V = simd<T>;
  V s = T(0);
  detail::vectors<T>(n, [&](index i, index count) {
    V e = exp(fma(detail::load(x + i, count), V(scale), V(-shift)));
    detail::store(e, y + i, count);
    if (count < V::width) e = detail::load(y + i, count);
    s += e;
  });
  return sum(s);
}

/// log sum exp(scale * x[i]), scale >= 0; NaN where every x[i] is minus infinity.
template <class T>
T log_sum_exp(const T* x, index n, T scale) {
  using V = simd<T>;
  const T shift = scale * max(x, n);
  const T s = detail::sum_of_terms<T>(n, [&](index i, index count) {
    const V e = exp(fma(detail::load(x + i, count), V(scale), V(-shift)));
    if (count == V::width) return e;
    T lanes[V::width];
    e.store(lanes);
    return V::load(lanes, count);
  });
  return shift + std::log(s);
}

/// y[i] = exp(scale * x[i]) / sum of them, scale >= 0; returns the logarithm of that sum. NaN where every x[i] is minus
/// infinity.
template <class T>
T softmax(const T* x, T* y, index n, T scale) {
  using V = simd<T>;
  const T shift = scale * max(x, n);
  const T s = exp_sum(x, y, n, scale, shift);
  const V share = T(1) / s;
  detail::vectors<T>(n, [&](index i, index count) { detail::store(detail::load(y + i, count) * share, y + i, count); });
  return shift + std::log(s);
}

}  // namespace selfpatch::vector_math
