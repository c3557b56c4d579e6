// layer_norm on the cpu: rows in parallel, each read from memory once; sums in lanes, so that they
// use vectors.
#pragma once

#include <selfpatch/cpu/column_sums.hpp>
#include <selfpatch/ops/layer_norm.hpp>

namespace selfpatch {

template <>
struct kernel<op::layer_norm, cpu> {
  template <class T, class A>
  static void forward(context<cpu>* on, double eps, matrix_view<const T> x, const T* gain,
                      const T* bias, matrix_view<T> y, matrix_view<A> stats) {
    parallel_rows(on, x.rows, 32, [=](index begin, index end) {
      const index D = x.cols;
      for (index r = begin; r < end; ++r) {
        const T* in = x.row(r);
        T* out = y.row(r);
        const A mean = sum(D, [=](index d) { return A(in[d]); }) / A(D);
        const A variance = sum(D, [=](index d) { return (in[d] - mean) * (in[d] - mean); }) / A(D);
        const A rstd = 1 / std::sqrt(variance + A(eps));
        for (index d = 0; d < D; ++d) out[d] = T((in[d] - mean) * rstd * gain[d] + bias[d]);
        stats.row(r)[0] = mean;
        stats.row(r)[1] = rstd;
      }
    });
  }

  template <class T, class A>
  static void backward(context<cpu>* on, matrix_view<const T> dy, matrix_view<const A> stats,
                       matrix_view<const T> x, const T* gain, matrix_view<T> dx, T* dgain,
                       T* dbias) {
    const index D = x.cols;
    column_sums<A>(
        on, x.rows, 2 * D,
        [=](index begin, index end, A* line) {
          for (index r = begin; r < end; ++r) {
            const A mean = stats.row(r)[0], rstd = stats.row(r)[1];
            const T *in = x.row(r), *g = dy.row(r);
            A *gain_line = line, *bias_line = line + D;
            for (index d = 0; d < D; ++d) {
              gain_line[d] += g[d] * ((in[d] - mean) * rstd);
              bias_line[d] += g[d];
            }
            if (!dx) continue;
            const A mean_g = sum(D, [=](index d) { return A(g[d]) * gain[d]; }) / A(D);
            const A mean_gx =
                sum(D, [=](index d) { return A(g[d]) * gain[d] * ((in[d] - mean) * rstd); }) / A(D);
            T* out = dx.row(r);
            for (index d = 0; d < D; ++d)
              out[d] += T(rstd * (A(g[d]) * gain[d] - mean_g - (in[d] - mean) * rstd * mean_gx));
          }
        },
        [=](const A* total) {
          for (index d = 0; dgain && d < D; ++d) dgain[d] += T(total[d]);
          for (index d = 0; dbias && d < D; ++d) dbias[d] += T(total[D + d]);
        });
  }

 private:
  /// sum of f(0) .. f(n-1) in 16 lanes that are added in order.
  template <class F>
  static auto sum(index n, const F& f) {
    using A = decltype(f(index(0)));
    constexpr index lanes = 16;
    A lane[lanes] = {};
    index i = 0;
    for (; i + lanes <= n; i += lanes)
      for (index l = 0; l < lanes; ++l) lane[l] += f(i + l);
    A total = 0;
    for (A s : lane) total += s;
    for (; i < n; ++i) total += f(i);
    return total;
  }
};

}  // namespace selfpatch
