// drop_path: y = x + scale_b * branch, stochastic depth with the draw as an input
//
//   x, branch (B, N, W)   scale (B)   ->   y (B, N, W)
//
//   scale_b = 1 / (1 - rate) where sample b keeps the branch, else 0
//   dx = dy      dbranch = scale_b dy
#pragma once

#include <selfpatch/ops/op.hpp>

namespace selfpatch {

namespace op {
struct drop_path {
  static constexpr bool writes_first[] = {true, true, false};

  template <class X, class S>
  auto forward(const X& x, const X& branch, const S& scale) const {
    same_extent(x.extent(0), scale.size(), "drop_path(x, branch, scale): one scale per sample");
    auto y = beside<value_of_t<X>>(x, x.shape());
    kernel<drop_path, device_of<X>>::forward(x.on(), samples(x), samples(branch), scale.data(),
                                             samples(y));
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [dx, dbranch, unused] = d;
    kernel<drop_path, device_of<decltype(dy)>>::backward(
        dy.on(), samples(dy), std::get<2>(in).data(), samples(dx.to), dx.first, samples(dbranch.to),
        dbranch.first);
  }

 private:
  template <class X>  // one row per sample
  static auto samples(X& x) {
    using T = std::remove_reference_t<decltype(*x.data())>;
    const index B = x.extent(0), n = B ? x.size() / B : 0;
    return matrix_view<T>{x.data(), B, n, n};
  }
  template <class X>
  static auto samples(X* x) {
    return x ? samples(*x) : matrix_view<value_of_t<X>>{};
  }
};
}  // namespace op

auto drop_path(const auto& x, const auto& branch, const auto& scale) {
  return apply(op::drop_path{}, x, branch, scale);
}

template <>
struct kernel<op::drop_path, reference> {
  template <class T>
  static void forward(const auto& on, matrix_view<const T> x, matrix_view<const T> branch,
                      const T* scale, matrix_view<T> y) {
    parallel(on, x.rows, [=](index b) {
      for (index i = 0; i < x.cols; ++i) y.row(b)[i] = x.row(b)[i] + scale[b] * branch.row(b)[i];
    });
  }
  template <class T>
  static void backward(const auto& on, matrix_view<const T> dy, const T* scale, matrix_view<T> dx,
                       bool first_dx, matrix_view<T> dbranch, bool first_dbranch) {
    parallel(on, dy.rows, [=](index b) {
      if (dx) add_row(dy.row(b), T(1), dx.row(b), dy.cols, first_dx);
      if (dbranch) add_row(dy.row(b), scale[b], dbranch.row(b), dy.cols, first_dbranch);
    });
  }

 private:
  template <class T>
  static void add_row(const T* dy, T scale, T* to, index n, bool first) {
    if (first)
      for (index i = 0; i < n; ++i) to[i] = scale * dy[i];
    else
      for (index i = 0; i < n; ++i) to[i] += scale * dy[i];
  }
};

}  // namespace selfpatch
