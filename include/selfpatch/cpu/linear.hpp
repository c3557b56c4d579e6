// linear on the cpu: three matrix products; the bias is added while a block of y is in the cache.
#pragma once

#include <selfpatch/cpu/column_sums.hpp>
#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/ops/linear.hpp>

namespace selfpatch {

template <>
struct kernel<op::linear, cpu> {
  template <class T>
  static void forward(context<cpu>* on, matrix_view<const T> x, matrix_view<const T> w,
                      const T* bias, matrix_view<T> y) {
    gemm(on, transpose::no, transpose::yes, x.rows, w.rows, w.cols, T(1), x.data, x.stride, w.data,
         w.stride, T(0), y.data, y.stride, bias);
  }

  template <class T>
  static void backward(context<cpu>* on, matrix_view<const T> dy, matrix_view<const T> x,
                       matrix_view<const T> w, matrix_view<T> dx, matrix_view<T> dw, T* dbias,
                       bool first_dx) {
    const index R = dy.rows, N = w.rows, K = w.cols;
    if (dx)
      gemm(on, transpose::no, transpose::no, R, K, N, T(1), dy.data, dy.stride, w.data, w.stride,
           T(first_dx ? 0 : 1), dx.data, dx.stride);
    if (dw)
      gemm(on, transpose::yes, transpose::no, N, K, R, T(1), dy.data, dy.stride, x.data, x.stride,
           T(1), dw.data, dw.stride);
    if (!dbias) return;
    column_sums<sum_of<T>>(
        on, R, N,
        [&](index begin, index end, sum_of<T>* line) {
          for (index r = begin; r < end; ++r)
            for (index n = 0; n < N; ++n) line[n] += dy.row(r)[n];
        },
        [&](const sum_of<T>* sum) {
          for (index n = 0; n < N; ++n) dbias[n] += T(sum[n]);
        });
  }
};

}  // namespace selfpatch
