// linear: y = x w^T + bias
//
//   x (..., K)   w (N, K)   bias (N)   ->   y (..., N)
//   w may have any shape whose first extent is N and whose others multiply to K
//
//   dx = dy w        dw = dy^T x        dbias = sum over rows of dy
#pragma once

#include <selfpatch/ops/op.hpp>

#include <algorithm>

namespace selfpatch {

namespace op {
struct linear {
  static constexpr bool writes_first[] = {true, false, false};

  template <class X, class W, class B>
  auto forward(const X& x, const W& w, const B& bias) const {
    constexpr index N = shape_of<W>::known(0);
    static_assert(shape_of<W>::rank != 2 || same_width<width_of<X>, width_of<W>>,
                  "linear(x, w, bias): x (..., K) and w (N, K) must have the same K");
    static_assert(same_width<N, width_of<B>>,
                  "linear(x, w, bias): w (N, K) and bias (N) must have the same N");
    check(x, w, bias);

    auto y = beside<value_of_t<X>>(x, with_last<N>(x.shape(), w.extent(0)));
    kernel<linear, device_of<X>>::forward(x.on(), rows(x), matrix(w), bias.data(), rows(y));
    return result{std::move(y)};
  }

  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [x, w, bias] = in;
    const auto& [dx, dw, dbias] = d;
    kernel<linear, device_of<decltype(dy)>>::backward(
        dy.on(), rows(dy), rows(x), matrix(w), rows(dx.to), matrix(dw), data(dbias), dx.first);
  }

  double flops(const auto& x, const auto& w, const auto&) const {
    return 2.0 * double(rows(x).rows) * double(w.size());
  }

 private:
  template <class W>
  static auto matrix(W& w) {
    using T = std::remove_reference_t<decltype(*w.data())>;
    const index N = w.extent(0), K = N ? w.size() / N : 0;
    return matrix_view<T>{w.data(), N, K, K};
  }
  template <class W>
  static auto matrix(W* w) {
    return w ? matrix(*w) : matrix_view<value_of_t<W>>{};
  }
  static void check(const auto& x, const auto& w, const auto& bias) {
    const index K = matrix(w).cols;
    same_extent(x.extent(x.shape().rank - 1), K,
                "linear(x, w, bias): x (..., K) and w (N, K) must have the same K");
    same_extent(w.extent(0), bias.size(),
                "linear(x, w, bias): w (N, K) and bias (N) must have the same N");
  }
};
}  // namespace op

auto linear(const auto& x, const auto& w, const auto& bias) {
  return apply(op::linear{}, x, w, bias);
}

template <>
struct kernel<op::linear, reference> {
  template <class T>
  static void forward(const auto&, matrix_view<const T> x, matrix_view<const T> w, const T* bias,
                      matrix_view<T> y) {
    for (index r = 0; r < x.rows; ++r)
      for (index n = 0; n < w.rows; ++n) {
        sum_of<T> sum = bias[n];
        for (index k = 0; k < w.cols; ++k) sum += sum_of<T>(x.row(r)[k]) * w.row(n)[k];
        y.row(r)[n] = T(sum);
      }
  }

  template <class T>
  static void backward(const auto&, matrix_view<const T> dy, matrix_view<const T> x,
                       matrix_view<const T> w, matrix_view<T> dx, matrix_view<T> dw, T* dbias,
                       bool first_dx) {
    for (index r = 0; first_dx && r < dx.rows; ++r) std::fill_n(dx.row(r), dx.cols, T(0));
    for (index r = 0; r < dy.rows; ++r)
      for (index n = 0; n < w.rows; ++n) {
        const T g = dy.row(r)[n];
        for (index k = 0; dx && k < w.cols; ++k) dx.row(r)[k] += g * w.row(n)[k];
        for (index k = 0; dw && k < w.cols; ++k) dw.row(n)[k] += g * x.row(r)[k];
        if (dbias) dbias[n] += g;
      }
  }
};

}  // namespace selfpatch
