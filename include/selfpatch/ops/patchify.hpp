// patchify: images to rows of patches
//
//   x (B, C, H, W), H and W multiples of p   ->   y (B, N, C p p),  N = (H / p)(W / p) row by row
//
//   y[b, r (W/p) + c, (ch p + i) p + j] = x[b, ch, r p + i, c p + j]        dx: the inverse
//
// The order inside a patch is that of a convolution's weight [out, C, p, p], so patch embedding is
// `linear`.
#pragma once

#include <selfpatch/ops/op.hpp>

namespace selfpatch {

/// Rows and columns of patches.
struct grid {
  index rows = 0, cols = 0;
  constexpr index size() const { return rows * cols; }
  constexpr bool operator==(const grid&) const = default;
};

struct patch_shape {
  index B, C, H, W, p;
};

namespace op {
template <index Patch>
struct patchify {
  template <class X>
  auto forward(const X& x) const {
    static_assert(shape_of<X>::rank == 4, "patchify<p>(x): x is (B, C, H, W)");
    constexpr index C = shape_of<X>::known(1), K = C == dyn ? dyn : C * Patch * Patch;
    const patch_shape s = measure(x);
    if (s.H % Patch || s.W % Patch || !s.H || !s.W)
      throw error(problem{.what = "patchify: the image's sides must be multiples of the patch",
                          .expected = "multiples of " + std::to_string(Patch),
                          .found = std::to_string(s.H) + " x " + std::to_string(s.W)});
    const index N = s.H / Patch * (s.W / Patch);
    auto y = beside<value_of_t<X>>(x, shape<dyn, dyn, K>::from({s.B, N, s.C * Patch * Patch}));
    kernel<patchify, device_of<X>>::forward(x.on(), s, x.data(), y.data());
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [x] = in;
    const auto& [dx] = d;
    if (dx)
      kernel<patchify, device_of<decltype(dy)>>::backward(dy.on(), measure(x), dy.data(),
                                                          dx->data());
  }

 private:
  static patch_shape measure(const auto& x) {
    return {x.extent(0), x.extent(1), x.extent(2), x.extent(3), Patch};
  }
};
}  // namespace op

template <index Patch>
auto patchify(const auto& x) {
  return apply(op::patchify<Patch>{}, x);
}

template <index Patch>
struct kernel<op::patchify<Patch>, reference> {
  template <class T>
  static void forward(const auto& on, patch_shape s, const T* x, T* y) {
    each_line(on, s, [=](index image, index patch) {
      for (index j = 0; j < Patch; ++j) y[patch + j] = x[image + j];
    });
  }
  template <class T>
  static void backward(const auto& on, patch_shape s, const T* dy, T* dx) {
    each_line(on, s, [=](index image, index patch) {
      for (index j = 0; j < Patch; ++j) dx[image + j] += dy[patch + j];
    });
  }

 private:
  /// f(offset in the image, offset in the patches) for every line of p pixels.
  template <class F>
  static void each_line(const auto& on, patch_shape s, const F& f) {
    const index cols = s.W / Patch, K = s.C * Patch * Patch;
    parallel_rows(on, s.B * s.C * s.H, 256, [&](index begin, index end) {
      for (index line = begin; line < end; ++line) {
        const index b = line / (s.C * s.H), ch = line / s.H % s.C, y = line % s.H;
        const index first = (b * (s.H / Patch) + y / Patch) * cols;
        for (index c = 0; c < cols; ++c)
          f(line * s.W + c * Patch, (first + c) * K + (ch * Patch + y % Patch) * Patch);
      }
    });
  }
};

}  // namespace selfpatch
