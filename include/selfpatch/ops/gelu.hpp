// gelu: y = x Phi(x),  Phi(x) = (1 + erf(x / sqrt 2)) / 2, element by element (the exact form, not
// the tanh one)
//
//   dx = dy * (Phi(x) + x phi(x)),   phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
#pragma once

#include <selfpatch/ops/op.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace selfpatch {

namespace op {
struct gelu {
  static constexpr bool writes_first[] = {true};

  template <class X>
  auto forward(const X& x) const {
    auto y = beside<value_of_t<X>>(x, x.shape());
    kernel<gelu, device_of<X>>::forward(x.on(), x.data(), y.data(), x.size());
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [x] = in;
    const auto& [dx] = d;
    if (dx)
      kernel<gelu, device_of<decltype(dy)>>::backward(dy.on(), dy.data(), x.data(), dx->data(),
                                                      x.size(), dx.first);
  }
};
}  // namespace op

auto gelu(const auto& x) { return apply(op::gelu{}, x); }

template <>
struct kernel<op::gelu, reference> {
  template <class T>
  static void forward(const auto&, const T* x, T* y, index n) {
    using A = sum_of<T>;
    for (index i = 0; i < n; ++i) y[i] = T(A(x[i]) * phi(A(x[i])));
  }
  template <class T>
  static void backward(const auto&, const T* dy, const T* x, T* dx, index n, bool first) {
    using A = sum_of<T>;
    if (first) std::fill_n(dx, n, T(0));
    constexpr A density = std::numbers::inv_sqrtpi_v<A> / std::numbers::sqrt2_v<A>;
    for (index i = 0; i < n; ++i)
      dx[i] += T(dy[i] * (phi(A(x[i])) + A(x[i]) * density * std::exp(-A(x[i]) * A(x[i]) / 2)));
  }

 private:
  template <class A>
  static A phi(A x) {  // erfc keeps the lower tail, where 1 + erf would cancel
    return std::erfc(-x / std::numbers::sqrt2_v<A>) / 2;
  }
};

}  // namespace selfpatch
