// weight_norm: a linear layer without bias whose rows have trained lengths
//
//   z (..., P)   v (O, P)   g (O, 1)   ->   y (..., O):   y_o = s_o (z . v_o),   s_o = g_o / |v_o|
//
//   dz   = sum_o dy_o s_o v_o
//   G_o  = sum over rows of dy_o z                    the gradient of the effective weight
//   dg_o = G_o . v_o / |v_o|        dv_o = s_o (G_o - v_o (v_o . G_o) / |v_o|^2)
//
// The weight s_o v_o is never formed: its scale multiplies the columns of y.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <cmath>
#include <vector>

namespace selfpatch {

namespace op {
struct weight_norm {
  template <class Z, class V, class G>
  auto forward(const Z& z, const V& v, const G& g) const {
    static_assert(same_width<width_of<Z>, width_of<V>>,
                  "weight_norm(z, v, g): z (..., P) and v (O, P) must have the same P");
    same_extent(rows(z).cols, v.extent(1),
                "weight_norm(z, v, g): z (..., P) and v (O, P) must have the same P");
    same_extent(v.extent(0), g.size(),
                "weight_norm(z, v, g): v (O, P) and g (O, 1) must have the same O");
    auto y = beside<value_of_t<Z>>(z, with_last<shape_of<V>::known(0)>(z.shape(), v.extent(0)));
    auto norms = beside<sum_of<value_of_t<Z>>>(z, shape<dyn>(v.extent(0)));
    using k = kernel<weight_norm, device_of<Z>>;
    k::norms(z.on(), rows(v), norms.data());
    k::forward(z.on(), rows(z), rows(v), g.data(), norms.data(), rows(y));
    return result{std::move(y), std::move(norms)};
  }
  void backward(const auto& dy, const auto& norms, const auto& in, const auto& d) const {
    const auto& [z, v, g] = in;
    const auto& [dz, dv, dg] = d;
    using k = kernel<weight_norm, device_of<decltype(dy)>>;
    if (dz) k::backward_input(dy.on(), rows(dy), rows(v), g.data(), norms.data(), rows(*dz));
    if (!dv && !dg) return;
    auto G = beside<value_of_t<decltype(dy)>>(dy, v.shape());
    k::weight_gradient(dy.on(), rows(dy), rows(z), rows(G));
    k::backward_weight(dy.on(), rows(std::as_const(G)), rows(v), g.data(), norms.data(), rows(dv),
                       data(dg));
  }
};
}  // namespace op

auto weight_norm(const auto& z, const auto& v, const auto& g) {
  return apply(op::weight_norm{}, z, v, g);
}

template <>
struct kernel<op::weight_norm, reference> {
  template <class T, class A>
  static void norms(const auto&, matrix_view<const T> v, A* norms) {
    for (index o = 0; o < v.rows; ++o) {
      A squares = 0;
      for (index p = 0; p < v.cols; ++p) squares += A(v.row(o)[p]) * v.row(o)[p];
      norms[o] = std::sqrt(squares);
    }
  }
  template <class T, class A>
  static void forward(const auto&, matrix_view<const T> z, matrix_view<const T> v, const T* g,
                      const A* norms, matrix_view<T> y) {
    for (index r = 0; r < z.rows; ++r)
      for (index o = 0; o < v.rows; ++o) {
        A dot = 0;
        for (index p = 0; p < v.cols; ++p) dot += A(z.row(r)[p]) * v.row(o)[p];
        y.row(r)[o] = T(dot * (g[o] / norms[o]));
      }
  }
  template <class T, class A>
  static void backward_input(const auto&, matrix_view<const T> dy, matrix_view<const T> v,
                             const T* g, const A* norms, matrix_view<T> dz) {
    for (index r = 0; r < dy.rows; ++r)
      for (index o = 0; o < v.rows; ++o)
        for (index p = 0; p < v.cols; ++p)
          dz.row(r)[p] += T(dy.row(r)[o] * (g[o] / norms[o]) * v.row(o)[p]);
  }
  /// G = dy^T z, overwritten.
  template <class T>
  static void weight_gradient(const auto&, matrix_view<const T> dy, matrix_view<const T> z,
                              matrix_view<T> G) {
    for (index o = 0; o < G.rows; ++o)
      for (index p = 0; p < G.cols; ++p) {
        sum_of<T> sum = 0;
        for (index r = 0; r < dy.rows; ++r) sum += sum_of<T>(dy.row(r)[o]) * z.row(r)[p];
        G.row(o)[p] = T(sum);
      }
  }
  /// Adds dv and dg for G, times *scale where it is given.
  template <class T, class A>
  static void backward_weight(const auto& on, matrix_view<const T> G, matrix_view<const T> v,
                              const T* g, const A* norms, matrix_view<T> dv, T* dg,
                              const T* scale = nullptr) {
    const A times = scale ? *scale : 1;
    parallel_rows(on, v.rows, 512, [&](index begin, index end) {
      for (index o = begin; o < end; ++o) {
        A along = 0;
        for (index p = 0; p < v.cols; ++p) along += A(G.row(o)[p]) * v.row(o)[p];
        along *= times / norms[o];
        if (dg) dg[o] += T(along);
        const A s = g[o] / norms[o], back = along / norms[o];  // along holds the scale
        for (index p = 0; dv && p < v.cols; ++p)
          dv.row(o)[p] += T(s * (times * G.row(o)[p] - v.row(o)[p] * back));
      }
    });
  }
};

}  // namespace selfpatch
