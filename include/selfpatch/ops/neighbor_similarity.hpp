// neighbor_similarity: the cosine similarities of every patch with its chosen neighbors
//
//   x (B, N, C)   index (B, N, K), -1 = empty slot   ->   s (B, N, K), -inf in empty slots
//
//   s_ij = x_i . x_j / (l_i l_j),   l_i = max(|x_i|, 1e-12),   j in index[b, i]
//
//   dx_i = sum_j (ds_ij + ds_ji) (x_j / (l_i l_j) - s_ij x_i / l_i^2)
//
// over the j that i chose and those that chose i; the second term is 0 where l_i is the constant.
// neighbor_topk finds the index, which has no gradient; its similarities have one only through
// this.
#pragma once

#include <selfpatch/ops/neighbor_topk.hpp>

namespace selfpatch {

namespace op {
struct neighbor_similarity {
  template <class X, class I>
  auto forward(const X& x, const I& chosen) const {
    static_assert(shape_of<X>::rank == 3, "neighbor_similarity(x, index): x is (B, N, C)");
    static_assert(shape_of<I>::rank == 3, "neighbor_similarity(x, index): index is (B, N, K)");
    using T = sum_of<value_of_t<X>>;
    const index B = x.extent(0), N = x.extent(1);
    expects(chosen.extent(0) == B && chosen.extent(1) == N,
            "neighbor_similarity(x, index): x is (B, N, C), index is (B, N, K)");
    auto s = beside<T>(x, shape<dyn, dyn, dyn>(B, N, chosen.extent(2)));
    auto l = beside<T>(x, shape<dyn, dyn>(B, N));
    kernel<neighbor_similarity, device_of<X>>::forward(x.on(), rows(x), N, rows(chosen), l.data(),
                                                       rows(s));
    auto kept = s.clone();
    return result{std::move(s), std::pair(std::move(kept), std::move(l))};
  }

  void backward(const auto& ds, const auto& saved, const auto& in, const auto& d) const {
    const auto& [x, chosen] = in;
    const auto& [dx, none] = d;
    if (dx)
      kernel<neighbor_similarity, device_of<decltype(ds)>>::backward(
          ds.on(), rows(ds), rows(saved.first), saved.second.data(), x.extent(1), rows(chosen),
          rows(x), rows(*dx));
  }
};
}  // namespace op

/// The index must outlive the backward pass.
auto neighbor_similarity(const auto& x, const auto& chosen) {
  return apply(op::neighbor_similarity{}, x, chosen);
}

/// Those of all candidates of neighbor_table, (B, N, table.width).
template <class X>
auto neighbor_similarity(const X& x, grid g, const neighborhood& n) {
  const neighbor_table table(g, n);
  const index B = x.extent(0), all = index(table.candidates.size());
  tensor<std::int32_t, shape<dyn, dyn, dyn>, device_of<X>> chosen(
      shape<dyn, dyn, dyn>(B, g.size(), table.width), x.on());
  for (index b = 0; b < B; ++b) std::copy_n(table.candidates.data(), all, chosen.data() + b * all);
  return neighbor_similarity(x, chosen);
}

template <>
struct kernel<op::neighbor_similarity, reference> {
  template <class T, class A>
  static void forward(const auto& on, matrix_view<const T> x, index N,
                      matrix_view<const std::int32_t> chosen, A* l, matrix_view<A> s) {
    parallel(on, images(x, N), [&](index b) {
      const index first = b * N;
      for (index i = first; i < first + N; ++i) l[i] = length(x, i);
      for (index i = first; i < first + N; ++i)
        for (index slot = 0; slot < s.cols; ++slot) {
          const std::int32_t j = chosen.row(i)[slot];
          s.row(i)[slot] = j < 0 ? -std::numeric_limits<A>::infinity()
                                 : dot<A>(x, i, first + j) / (l[i] * l[first + j]);
        }
    });
  }

  /// Image by image, in the order of the patches and slots: no two threads share a row of dx.
  template <class T, class A>
  static void backward(const auto& on, matrix_view<const A> ds, matrix_view<const A> s, const A* l,
                       index N, matrix_view<const std::int32_t> chosen, matrix_view<const T> x,
                       matrix_view<T> dx) {
    parallel(on, images(x, N), [&](index b) {
      const index first = b * N;
      for (index i = first; i < first + N; ++i)
        for (index slot = 0; slot < s.cols; ++slot) {
          if (chosen.row(i)[slot] < 0) continue;
          const index j = first + chosen.row(i)[slot];
          const A g = ds.row(i)[slot], across = g / (l[i] * l[j]);
          add(x, i, j, across, turn(g * s.row(i)[slot], l[i]), dx);
          add(x, j, i, across, turn(g * s.row(i)[slot], l[j]), dx);
        }
    });
  }

 private:
  template <class T>
  static index images(matrix_view<const T> x, index N) {
    return N ? x.rows / N : 0;
  }
  template <class A, class T>
  static A dot(matrix_view<const T> x, index i, index j) {
    A sum = 0;
    for (index c = 0; c < x.cols; ++c) sum += A(x.row(i)[c]) * A(x.row(j)[c]);
    return sum;
  }
  template <class T>
  static auto length(matrix_view<const T> x, index i) {
    return kernel<op::neighbor_topk, reference>::length(dot<sum_of<T>>(x, i, i));
  }
  /// The weight of a row itself: what keeps its length; none where the length is the constant.
  template <class A>
  static A turn(A weight, A length) {
    return length > A(1e-12) ? weight / (length * length) : A(0);
  }
  template <class T, class A>
  static void add(matrix_view<const T> x, index to, index other, A across, A own,
                  matrix_view<T> dx) {
    for (index c = 0; c < x.cols; ++c)
      dx.row(to)[c] += T(across * A(x.row(other)[c]) - own * A(x.row(to)[c]));
  }
};

}  // namespace selfpatch
