// weight_norm on the cpu: products with v as it stands, the row scales g / |v| applied to the
// columns of y.
#pragma once

#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/vector_math.hpp>
#include <selfpatch/ops/weight_norm.hpp>

namespace selfpatch {

template <>
struct kernel<op::weight_norm, cpu> : kernel<op::weight_norm, reference> {
  template <class T, class A>
  static void norms(context<cpu>* on, matrix_view<const T> v, A* norms) {
    parallel_rows(on, v.rows, 512, [=](index begin, index end) {
      for (index o = begin; o < end; ++o)
        norms[o] = std::sqrt(vector_math::dot(v.row(o), v.row(o), v.cols));
    });
  }

  template <class T, class A>
  static void forward(context<cpu>* on, matrix_view<const T> z, matrix_view<const T> v, const T* g,
                      const A* norms, matrix_view<T> y) {
    gemm(on, transpose::no, transpose::yes, z.rows, v.rows, v.cols, T(1), z.data, z.stride, v.data,
         v.stride, T(0), y.data, y.stride, scale_columns<T, A>{g, norms});
  }

  template <class T, class A>
  static void backward_input(context<cpu>* on, matrix_view<const T> dy, matrix_view<const T> v,
                             const T* g, const A* norms, matrix_view<T> dz) {
    tensor<T, shape<dyn, dyn>> scaled(shape<dyn, dyn>(dy.rows, dy.cols), uninitialized, on);
    for (index r = 0; r < dy.rows; ++r)
      for (index o = 0; o < dy.cols; ++o)
        scaled.data()[r * dy.cols + o] = T(dy.row(r)[o] * (g[o] / norms[o]));
    gemm(on, transpose::no, transpose::no, dy.rows, v.cols, v.rows, T(1),
         static_cast<const T*>(scaled.data()), dy.cols, v.data, v.stride, T(1), dz.data, dz.stride);
  }

  template <class T>
  static void weight_gradient(context<cpu>* on, matrix_view<const T> dy, matrix_view<const T> z,
                              matrix_view<T> G) {
    gemm(on, transpose::yes, transpose::no, G.rows, G.cols, dy.rows, T(1), dy.data, dy.stride,
         z.data, z.stride, T(0), G.data, G.stride);
  }

  template <class T, class A>
  static void backward_weight(context<cpu>* on, matrix_view<const T> G, matrix_view<const T> v,
                              const T* g, const A* norms, matrix_view<T> dv, T* dg,
                              const T* scale = nullptr) {
    const A times = scale ? *scale : 1;
    parallel_rows(on, v.rows, 512, [=](index begin, index end) {
      for (index o = begin; o < end; ++o) {
        const A along = vector_math::dot(G.row(o), v.row(o), v.cols) * times / norms[o];
        if (dg) dg[o] += T(along);
        if (dv)
          add_across(T(g[o] / norms[o]), T(times), G.row(o), T(along / norms[o]), v.row(o),
                     dv.row(o), v.cols);
      }
    });
  }

  /// The epilogue of a product with v: column o times g_o / |v_o|.
  template <class T, class A>
  struct scale_columns {
    const T* g;
    const A* norms;
    void operator()(T* c, index, index col, index n) const {
      for (index j = 0; j < n; ++j) c[j] *= T(g[col + j] / norms[col + j]);
    }
  };

 private:
  /// dv += s (times G - back v): in this order, as the difference may be all but nothing.
  template <class T>
  static void add_across(T s, T times, const T* G, T back, const T* v, T* dv, index n) {
    for (index p = 0; p < n; ++p) dv[p] += s * (times * G[p] - v[p] * back);
  }
};

}  // namespace selfpatch
