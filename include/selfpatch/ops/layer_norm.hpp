// layer_norm: y = xhat * gain + bias,  xhat = (x - mean) * rstd,  over the last axis
//
//   x (..., D)   gain (D)   bias (D)   ->   y (..., D)
//
//   mean = 1/D sum_d x_d        rstd = 1 / sqrt(1/D sum_d (x_d - mean)^2 + eps)
//
//   dx    = rstd * (g - mean(g) - xhat * mean(g * xhat)),   g = dy * gain
//   dgain = sum over rows of dy * xhat
//   dbias = sum over rows of dy
#pragma once

#include <selfpatch/ops/op.hpp>

#include <cmath>

namespace selfpatch {

namespace op {
struct layer_norm {
  double eps = 1e-6;

  template <class X, class G>
  auto forward(const X& x, const G& gain, const G& bias) const {
    static_assert(same_width<width_of<X>, width_of<G>>,
                  "layer_norm(x, gain, bias): x (..., D) and gain (D) must have the same D");
    same_extent(x.extent(x.shape().rank - 1), gain.size(),
                "layer_norm(x, gain, bias): x (..., D) and gain (D) must have the same D");
    auto y = beside<value_of_t<X>>(x, x.shape());
    auto stats = beside<sum_of<value_of_t<X>>>(x, shape<dyn, 2>(rows(x).rows));  // mean, rstd
    kernel<layer_norm, device_of<X>>::forward(x.on(), eps, rows(x), gain.data(), bias.data(),
                                              rows(y), rows(stats));
    return result{std::move(y), std::move(stats)};
  }

  void backward(const auto& dy, const auto& stats, const auto& in, const auto& d) const {
    const auto& [x, gain, bias] = in;
    const auto& [dx, dgain, dbias] = d;
    kernel<layer_norm, device_of<decltype(dy)>>::backward(
        dy.on(), rows(dy), rows(stats), rows(x), gain.data(), rows(dx), data(dgain), data(dbias));
  }
};
}  // namespace op

auto layer_norm(const auto& x, const auto& gain, const auto& bias, double eps = 1e-6) {
  return apply(op::layer_norm{eps}, x, gain, bias);
}

template <>
struct kernel<op::layer_norm, reference> {
  template <class T, class A>
  static void forward(const auto&, double eps, matrix_view<const T> x, const T* gain, const T* bias,
                      matrix_view<T> y, matrix_view<A> stats) {
    for (index r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      A mean = 0, variance = 0;
      for (index d = 0; d < x.cols; ++d) mean += in[d];
      mean /= A(x.cols);
      for (index d = 0; d < x.cols; ++d) variance += (in[d] - mean) * (in[d] - mean);
      const A rstd = 1 / std::sqrt(variance / A(x.cols) + A(eps));

      for (index d = 0; d < x.cols; ++d) y.row(r)[d] = T((in[d] - mean) * rstd * gain[d] + bias[d]);
      stats.row(r)[0] = mean;
      stats.row(r)[1] = rstd;
    }
  }

  template <class T, class A>
  static void backward(const auto&, matrix_view<const T> dy, matrix_view<const A> stats,
                       matrix_view<const T> x, const T* gain, matrix_view<T> dx, T* dgain,
                       T* dbias) {
    for (index r = 0; r < x.rows; ++r) {
      const A mean = stats.row(r)[0], rstd = stats.row(r)[1];
      const auto xhat = [&](index d) { return (x.row(r)[d] - mean) * rstd; };
      const auto g = [&](index d) { return A(dy.row(r)[d]) * gain[d]; };

      A mean_g = 0, mean_gx = 0;
      for (index d = 0; d < x.cols; ++d) {
        mean_g += g(d) / A(x.cols);
        mean_gx += g(d) * xhat(d) / A(x.cols);
        if (dgain) dgain[d] += T(dy.row(r)[d] * xhat(d));
        if (dbias) dbias[d] += dy.row(r)[d];
      }
      for (index d = 0; dx && d < x.cols; ++d)
        dx.row(r)[d] += T(rstd * (g(d) - mean_g - xhat(d) * mean_gx));
    }
  }
};

}  // namespace selfpatch
