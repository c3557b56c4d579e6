// layer_scale: y = x * gamma over the last axis
//
//   x (..., W)   gamma (W)   ->   y (..., W)
//   dx = dy * gamma       dgamma = sum over rows of dy * x
#pragma once

#include <selfpatch/ops/op.hpp>

namespace selfpatch {

namespace op {
struct layer_scale {
  template <class X, class G>
  auto forward(const X& x, const G& gamma) const {
    static_assert(same_width<width_of<X>, width_of<G>>,
                  "layer_scale(x, gamma): x (..., W) and gamma (W) must have the same W");
    auto y = beside<value_of_t<X>>(x, x.shape());
    kernel<layer_scale, device_of<X>>::forward(x.on(), rows(x), gamma.data(), rows(y));
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [x, gamma] = in;
    const auto& [dx, dgamma] = d;
    kernel<layer_scale, device_of<decltype(dy)>>::backward(dy.on(), rows(dy), rows(x), gamma.data(),
                                                           rows(dx), data(dgamma));
  }
};
}  // namespace op

auto layer_scale(const auto& x, const auto& gamma) { return apply(op::layer_scale{}, x, gamma); }

template <>
struct kernel<op::layer_scale, reference> {
  template <class T>
  static void forward(const auto&, matrix_view<const T> x, const T* gamma, matrix_view<T> y) {
    for (index r = 0; r < x.rows; ++r)
      for (index d = 0; d < x.cols; ++d) y.row(r)[d] = x.row(r)[d] * gamma[d];
  }
  template <class T>
  static void backward(const auto&, matrix_view<const T> dy, matrix_view<const T> x, const T* gamma,
                       matrix_view<T> dx, T* dgamma) {
    for (index r = 0; r < dy.rows; ++r)
      for (index d = 0; d < dy.cols; ++d) {
        if (dx) dx.row(r)[d] += dy.row(r)[d] * gamma[d];
        if (dgamma) dgamma[d] += dy.row(r)[d] * x.row(r)[d];
      }
  }
};

}  // namespace selfpatch
