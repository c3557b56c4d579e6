// clip: the length of a gradient, and by what to multiply it so that it is at most `limit`
//
//   norm = sqrt(sum g^2)          coefficient = min(1, limit / (norm + 1e-6)),  1 when limit is 0
//
// The sum is made in chunks of fixed size, added in order: the same bits for any number of threads.
// A gradient that holds a NaN or an infinity has a norm that is not finite.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <cmath>
#include <span>
#include <vector>

namespace selfpatch {

namespace op {
struct clip {};
}  // namespace op

/// The coefficient of a gradient of this norm; limit 0 switches clipping off.
inline double clip_coefficient(double norm, double limit) {
  const double coefficient = limit > 0 ? limit / (norm + 1e-6) : 1;
  return coefficient < 1 ? coefficient : 1;
}

/// sum g^2 of a tensor, in double.
template <class X>
double squared_norm(const X& g) {
  return kernel<op::clip, device_of<X>>::squares(g.on(), g.data(), g.size());
}

template <>
struct kernel<op::clip, reference> {
  static constexpr index chunk = 1 << 16;

  template <class T>
  static double squares(const auto& on, const T* g, index n) {
    std::vector<double> sums(std::size_t((n + chunk - 1) / chunk));
    parallel_rows(on, n, chunk, [&](index begin, index end) {
      constexpr index lanes = 16;  // independent sums, so that the compiler may use vectors
      double lane[lanes] = {};
      index i = begin;
      for (; i + lanes <= end; i += lanes)
        for (index l = 0; l < lanes; ++l) lane[l] += double(g[i + l]) * double(g[i + l]);
      for (; i < end; ++i) lane[(i - begin) % lanes] += double(g[i]) * double(g[i]);
      for (double s : lane) sums[std::size_t(begin / chunk)] += s;
    });
    double sum = 0;
    for (double s : sums) sum += s;
    return sum;
  }
};

}  // namespace selfpatch
