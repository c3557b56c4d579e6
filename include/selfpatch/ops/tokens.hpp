// tokens: movements along the token axis of (B, N, W)
//
//   slice_tokens(x, first, count)   (B, N, W)             -> (B, count, W)   tokens first + i
//   prepend_tokens(prefix, x)       (1, P, W), (B, N, W)  -> (B, P + N, W)   prefix, then x[b]
//   concat_rows(x, y)               (..., W), (..., W)    -> (R, W)          rows of x, then of y
//
// Backward: each element's gradient goes back where it came from; the prefix sums over the batch.
#pragma once

#include <selfpatch/ops/op.hpp>

namespace selfpatch {

namespace op {
struct slice_tokens {
  index first, count;

  template <class X>
  auto forward(const X& x) const {
    static_assert(shape_of<X>::rank == 3, "slice_tokens(x, first, count): x is (B, N, W)");
    const index B = x.extent(0), N = x.extent(1), W = x.extent(2);
    expects(first >= 0 && count >= 0 && first + count <= N,
            "slice_tokens(x, first, count): the slice lies within N");
    auto y = beside<value_of_t<X>>(x, shape<dyn, dyn, width_of<X>>::from({B, count, W}));
    kernel<slice_tokens, device_of<X>>::template run<false>(x.on(), x.data() + first * W, N * W,
                                                            y.data(), count * W, B, count * W);
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto&, const auto& d) const {
    const auto& [dx] = d;
    if (!dx) return;
    const index W = dx->extent(2);
    kernel<slice_tokens, device_of<decltype(dy)>>::template run<true>(
        dy.on(), dy.data(), count * W, dx->data() + first * W, dx->extent(1) * W, dx->extent(0),
        count * W);
  }
};

struct prepend_tokens {
  template <class P, class X>
  auto forward(const P& prefix, const X& x) const {
    static_assert(
        same_width<width_of<P>, width_of<X>>,
        "prepend_tokens(prefix, x): prefix (1, P, W) and x (B, N, W) must have the same W");
    const index B = x.extent(0), N = x.extent(1), W = x.extent(2), n = prefix.extent(1);
    same_extent(1, prefix.extent(0), "prepend_tokens(prefix, x): prefix is (1, P, W)");
    auto y = beside<value_of_t<X>>(x, shape<dyn, dyn, width_of<X>>::from({B, n + N, W}));
    using k = kernel<slice_tokens, device_of<X>>;
    k::template run<false>(x.on(), prefix.data(), 0, y.data(), (n + N) * W, B, n * W);
    k::template run<false>(x.on(), x.data(), N * W, y.data() + n * W, (n + N) * W, B, N * W);
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [prefix, x] = in;
    const auto& [dprefix, dx] = d;
    const index B = x.extent(0), N = x.extent(1), W = x.extent(2), n = prefix.extent(1);
    using k = kernel<slice_tokens, device_of<decltype(dy)>>;
    if (dx)
      k::template run<true>(dy.on(), dy.data() + n * W, (n + N) * W, dx->data(), N * W, B, N * W);
    for (index b = 0; dprefix && b < B; ++b)
      k::template run<true>(dy.on(), dy.data() + b * (n + N) * W, 0, dprefix->data(), 0, 1, n * W);
  }
};

struct concat_rows {
  template <class X, class Y>
  auto forward(const X& x, const Y& y) const {
    static_assert(same_width<width_of<X>, width_of<Y>>,
                  "concat_rows(x, y): x (..., W) and y (..., W) must have the same W");
    same_extent(rows(x).cols, rows(y).cols,
                "concat_rows(x, y): x (..., W) and y (..., W) must have the same W");
    const index W = rows(x).cols;
    auto z =
        beside<value_of_t<X>>(x, shape<dyn, width_of<X>>::from({rows(x).rows + rows(y).rows, W}));
    using k = kernel<slice_tokens, device_of<X>>;
    k::template run<false>(x.on(), x.data(), W, z.data(), W, rows(x).rows, W);
    k::template run<false>(x.on(), y.data(), W, z.data() + x.size(), W, rows(y).rows, W);
    return result{std::move(z)};
  }
  void backward(const auto& dz, const auto&, const auto& in, const auto& d) const {
    const auto& [x, y] = in;
    const auto& [dx, dy] = d;
    using k = kernel<slice_tokens, device_of<decltype(dz)>>;
    const index W = rows(dz).cols;
    if (dx) k::template run<true>(dz.on(), dz.data(), W, dx->data(), W, rows(x).rows, W);
    if (dy) k::template run<true>(dz.on(), dz.data() + x.size(), W, dy->data(), W, rows(y).rows, W);
  }
};
}  // namespace op

auto slice_tokens(const auto& x, index first, index count) {
  return apply(op::slice_tokens{first, count}, x);
}
auto prepend_tokens(const auto& prefix, const auto& x) {
  return apply(op::prepend_tokens{}, prefix, x);
}
auto concat_rows(const auto& x, const auto& y) { return apply(op::concat_rows{}, x, y); }

template <>
struct kernel<op::slice_tokens, reference> {
  /// Copies or adds `count` rows of n values between places with their own distances.
  template <bool Add, class T>
  static void run(const auto& on, const T* from, index from_stride, T* to, index to_stride,
                  index count, index n) {
    parallel(on, count, [=](index r) {
      for (index i = 0; i < n; ++i) {
        if constexpr (Add)
          to[r * to_stride + i] += from[r * from_stride + i];
        else
          to[r * to_stride + i] = from[r * from_stride + i];
      }
    });
  }
};

}  // namespace selfpatch
