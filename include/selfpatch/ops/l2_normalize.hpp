// l2_normalize: y = x / max(|x|, 1e-12) over the last axis
//
//   x (..., D)   ->   y (..., D)        dx = (dy - y (y . dy)) / |x|
//
// Where |x| is below 1e-12, dx = dy / 1e-12.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <cmath>

namespace selfpatch {

namespace op {
struct l2_normalize {
  static constexpr double least = 1e-12;

  template <class X>
  auto forward(const X& x) const {
    auto y = beside<value_of_t<X>>(x, x.shape());
    auto norms = beside<sum_of<value_of_t<X>>>(x, shape<dyn>(rows(x).rows));
    kernel<l2_normalize, device_of<X>>::forward(x.on(), rows(x), rows(y), norms.data());
    return result{std::move(y), std::move(norms)};
  }
  void backward(const auto& dy, const auto& norms, const auto& in, const auto& d) const {
    const auto& [x] = in;
    const auto& [dx] = d;
    if (dx)
      kernel<l2_normalize, device_of<decltype(dy)>>::backward(dy.on(), rows(dy), rows(x),
                                                              norms.data(), rows(*dx));
  }
};
}  // namespace op

auto l2_normalize(const auto& x) { return apply(op::l2_normalize{}, x); }

template <>
struct kernel<op::l2_normalize, reference> {
  template <class T, class A>
  static void forward(const auto& on, matrix_view<const T> x, matrix_view<T> y, A* norms) {
    parallel_rows(on, x.rows, 64, [=](index begin, index end) {
      for (index r = begin; r < end; ++r) {
        A squares = 0;
        for (index d = 0; d < x.cols; ++d) squares += A(x.row(r)[d]) * x.row(r)[d];
        norms[r] = std::sqrt(squares);
        const A length = std::max(norms[r], A(op::l2_normalize::least));
        for (index d = 0; d < x.cols; ++d) y.row(r)[d] = T(x.row(r)[d] / length);
      }
    });
  }
  template <class T, class A>
  static void backward(const auto& on, matrix_view<const T> dy, matrix_view<const T> x,
                       const A* norms, matrix_view<T> dx) {
    parallel_rows(on, x.rows, 64, [=](index begin, index end) {
      for (index r = begin; r < end; ++r) {
        const A length = std::max(norms[r], A(op::l2_normalize::least));
        A along = 0;  // y . dy / |x|, absent where the length is a constant
        for (index d = 0; d < x.cols; ++d) along += A(x.row(r)[d]) * dy.row(r)[d];
        along = norms[r] > A(op::l2_normalize::least) ? along / (length * length) : 0;
        for (index d = 0; d < x.cols; ++d)
          dx.row(r)[d] += T((dy.row(r)[d] - x.row(r)[d] * along) / length);
      }
    });
  }
};

}  // namespace selfpatch
