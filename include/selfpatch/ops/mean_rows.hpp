// mean_rows: the mean of the rows of x, summed in double and in order
//
//   x (..., W) of R rows   ->   y (1, W):   y_d = 1/R sum_r x_rd        dx_rd = dy_d / R
#pragma once

#include <selfpatch/ops/op.hpp>

#include <vector>

namespace selfpatch {

namespace op {
struct mean_rows {
  template <class X>
  auto forward(const X& x) const {
    auto y = beside<value_of_t<X>>(x, shape<1, width_of<X>>::from({1, rows(x).cols}));
    kernel<mean_rows, device_of<X>>::forward(x.on(), rows(x), y.data());
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto&, const auto& d) const {
    const auto& [dx] = d;
    if (dx) kernel<mean_rows, device_of<decltype(dy)>>::backward(dy.on(), dy.data(), rows(*dx));
  }
};
}  // namespace op

auto mean_rows(const auto& x) { return apply(op::mean_rows{}, x); }

template <>
struct kernel<op::mean_rows, reference> {
  template <class T>
  static void forward(const auto& on, matrix_view<const T> x, T* y) {
    parallel_rows(on, x.cols, 64, [=](index begin, index end) {
      std::vector<double> sums(std::size_t(end - begin));
      for (index r = 0; r < x.rows; ++r)
        for (index d = begin; d < end; ++d) sums[std::size_t(d - begin)] += double(x.row(r)[d]);
      for (index d = begin; d < end; ++d) y[d] = T(sums[std::size_t(d - begin)] / double(x.rows));
    });
  }
  template <class T>
  static void backward(const auto& on, const T* dy, matrix_view<T> dx) {
    parallel_rows(on, dx.rows, 64, [=](index begin, index end) {
      for (index r = begin; r < end; ++r)
        for (index d = 0; d < dx.cols; ++d) dx.row(r)[d] += dy[d] / T(dx.rows);
    });
  }
};

}  // namespace selfpatch
