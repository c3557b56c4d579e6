// add: y = x + p, where the rows of p repeat
//
//   x (..., W) of R rows   p (..., W) of r rows, R a multiple of r   ->   y (..., W)
//
//   y_i = x_i + p_(i mod r)       dx = dy       dp_j = sum of dy_i over all i with i mod r = j
//
// Covers the residual sum (r = R), a table of positions under a batch (r = N), and one token for
// all (r = 1).
#pragma once

#include <selfpatch/ops/op.hpp>

namespace selfpatch {

namespace op {
struct add {
  template <class X, class P>
  auto forward(const X& x, const P& p) const {
    static_assert(same_width<width_of<X>, width_of<P>>,
                  "add(x, p): x (..., W) and p (..., W) must have the same W");
    same_extent(rows(x).cols, rows(p).cols,
                "add(x, p): x (..., W) and p (..., W) must have the same W");
    expects(rows(p).rows > 0 && rows(x).rows % rows(p).rows == 0,
            "add(x, p): the rows of x are a multiple of those of p");
    auto y = beside<value_of_t<X>>(x, x.shape());
    kernel<add, device_of<X>>::forward(x.on(), rows(x), rows(p), rows(y));
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto&, const auto& d) const {
    const auto& [dx, dp] = d;
    if (dx) kernel<add, device_of<decltype(dy)>>::backward(dy.on(), rows(dy), rows(*dx));
    if (dp) kernel<add, device_of<decltype(dy)>>::backward(dy.on(), rows(dy), rows(*dp));
  }
};
}  // namespace op

auto add(const auto& x, const auto& p) { return apply(op::add{}, x, p); }

template <>
struct kernel<op::add, reference> {
  template <class T>
  static void forward(const auto& on, matrix_view<const T> x, matrix_view<const T> p,
                      matrix_view<T> y) {
    parallel_rows(on, x.rows, 64, [=](index begin, index end) {
      for (index i = begin; i < end; ++i)
        for (index d = 0; d < x.cols; ++d) y.row(i)[d] = x.row(i)[d] + p.row(i % p.rows)[d];
    });
  }
  /// Sums the rows of dy onto those of dx, which may be fewer.
  template <class T>
  static void backward(const auto& on, matrix_view<const T> dy, matrix_view<T> dx) {
    parallel_rows(on, dx.rows, 64, [=](index begin, index end) {
      for (index j = begin; j < end; ++j)
        for (index i = j; i < dy.rows; i += dx.rows)
          for (index d = 0; d < dy.cols; ++d) dx.row(j)[d] += dy.row(i)[d];
    });
  }
};

}  // namespace selfpatch
