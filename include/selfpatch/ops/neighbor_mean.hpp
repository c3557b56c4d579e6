// neighbor_mean: the mean of each patch's chosen neighbors, the plain alternative to class
// attention over them
//
//   x (B, N, W)   index (B, N, K), -1 = empty slot   ->   y (B N, W)
//
//   y_i = mean of x_j, j in index[b, i]
//   dx_j = sum over the i that chose j of dy_i / (neighbors of i)
//
// A patch without neighbors stands for itself.
#pragma once

#include <selfpatch/ops/op.hpp>

#include <cstdint>

namespace selfpatch {

namespace op {
struct neighbor_mean {
  template <class X, class I>
  auto forward(const X& x, const I& chosen) const {
    static_assert(shape_of<X>::rank == 3, "neighbor_mean(x, index): x is (B, N, W)");
    expects(chosen.extent(0) == x.extent(0) && chosen.extent(1) == x.extent(1),
            "neighbor_mean(x, index): x is (B, N, W), index is (B, N, K)");
    auto y = beside<value_of_t<X>>(
        x, shape<dyn, width_of<X>>::from({x.extent(0) * x.extent(1), x.extent(2)}));
    kernel<neighbor_mean, device_of<X>>::forward(x.on(), x.extent(0), chosen.extent(2), x.data(),
                                                 chosen.data(), rows(y));
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [x, chosen] = in;
    const auto& [dx, none] = d;
    if (dx)
      kernel<neighbor_mean, device_of<decltype(dy)>>::backward(
          dy.on(), x.extent(0), chosen.extent(2), rows(dy), chosen.data(), dx->data());
  }
};
}  // namespace op

auto neighbor_mean(const auto& x, const auto& chosen) {
  return apply(op::neighbor_mean{}, x, chosen);
}

template <>
struct kernel<op::neighbor_mean, reference> {
  template <class T>
  static void forward(const auto& on, index B, index K, const T* x, const std::int32_t* chosen,
                      matrix_view<T> y) {
    std::fill_n(y.data, y.rows * y.cols, T(0));
    each_share(on, B, y.rows / std::max<index>(B, 1), K, chosen,
               [=](index i, index j, double share) {
                 for (index d = 0; d < y.cols; ++d) y.row(i)[d] += T(share) * x[j * y.cols + d];
               });
  }
  template <class T>
  static void backward(const auto& on, index B, index K, matrix_view<const T> dy,
                       const std::int32_t* chosen, T* dx) {
    each_share(on, B, dy.rows / std::max<index>(B, 1), K, chosen,
               [=](index i, index j, double share) {
                 for (index d = 0; d < dy.cols; ++d) dx[j * dy.cols + d] += T(share) * dy.row(i)[d];
               });
  }

 private:
  /// f(i, j, 1 / neighbors of i), images in parallel.
  template <class F>
  static void each_share(const auto& on, index B, index N, index K, const std::int32_t* chosen,
                         const F& f) {
    parallel(on, B, [&](index b) {
      for (index i = b * N; i < (b + 1) * N; ++i) {
        index count = 0;
        for (index s = 0; s < K; ++s) count += chosen[i * K + s] >= 0;
        if (count == 0) f(i, i, 1.0);
        for (index s = 0; s < K; ++s)
          if (const index j = chosen[i * K + s]; j >= 0) f(i, b * N + j, 1.0 / double(count));
      }
    });
  }
};

}  // namespace selfpatch
