// interpolate: a square table of positions resampled to a grid
//
//   table (1, M M, W)   ->   y (1, h w, W):   y[r, c] = sum_ij R[r, i] C[c, j] table[i, j]
//   dtable: the transpose
//
// R (h, M) and C (w, M) hold cubic weights. Output cell o of n looks at the source coordinate
//
//   offset      (o + 0.5) M / (n + 0.1) - 0.5    a = -0.75, edges repeated: the published models,
//                                                off-centre as they are
//   plain       (o + 0.5) M / n - 0.5            a = -0.75, edges repeated
//   antialias   (o + 0.5) M / n - 0.5            a = -0.5, widened by M / n where that shrinks,
//                                                cut off and renormalised at the edges: timm
//
// A grid of M x M leaves the table as it is.
#pragma once

#include <selfpatch/ops/patchify.hpp>

#include <cmath>
#include <vector>

namespace selfpatch {

enum class position_rule { offset, plain, antialias };

/// The weights (n, M) of one axis, row by row, in double.
inline std::vector<double> resample_weights(index n, index M, position_rule rule) {
  const double a = rule == position_rule::antialias ? -0.5 : -0.75;
  const auto cubic = [a](double x) {
    x = std::abs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0.0;
  };
  const double step = double(M) / (double(n) + (rule == position_rule::offset ? 0.1 : 0.0));
  std::vector<double> weights(std::size_t(n * M));
  for (index o = 0; o < n; ++o) {
    double* row = weights.data() + o * M;
    const double center = (double(o) + 0.5) * step;
    if (rule != position_rule::antialias) {
      const double source = center - 0.5, base = std::floor(source);
      for (index tap = -1; tap <= 2; ++tap)
        row[std::clamp(index(base) + tap, index(0), M - 1)] += cubic(source - base - double(tap));
      continue;
    }
    const double wide = std::max(step, 1.0);
    const index low = std::max(index(0), index(center - 2 * wide + 0.5));
    const index high = std::min(M, index(center + 2 * wide + 0.5));
    double sum = 0;
    for (index j = low; j < high; ++j) sum += row[j] = cubic((double(j) - center + 0.5) / wide);
    for (index j = low; j < high; ++j) row[j] /= sum;
  }
  return weights;
}

namespace op {
struct interpolate {
  grid to;
  position_rule rule;

  template <class X>
  auto forward(const X& table) const {
    static_assert(shape_of<X>::rank == 3, "interpolate(table, grid): table is (1, M M, W)");
    const index M = side(table), W = table.extent(2);
    auto y = beside<value_of_t<X>>(table, shape<1, dyn, width_of<X>>::from({1, to.size(), W}));
    kernel<interpolate, device_of<X>>::forward(table.on(), M, W, to, rule, table.data(), y.data());
    return result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [table] = in;
    const auto& [dtable] = d;
    if (dtable)
      kernel<interpolate, device_of<decltype(dy)>>::backward(dy.on(), side(table), table.extent(2),
                                                             to, rule, dy.data(), dtable->data());
  }

 private:
  static index side(const auto& table) {
    const index M = index(std::lround(std::sqrt(double(table.extent(1)))));
    if (table.extent(0) != 1 || M * M != table.extent(1))
      throw error(problem{.what = "interpolate(table, grid): table is (1, M M, W)",
                          .found = to_string(table.shape())});
    return M;
  }
};
}  // namespace op

auto interpolate(const auto& table, grid to, position_rule rule) {
  return apply(op::interpolate{to, rule}, table);
}

template <>
struct kernel<op::interpolate, reference> {
  template <class T>
  static void forward(const auto&, index M, index W, grid to, position_rule rule, const T* table,
                      T* y) {
    if (to == grid{M, M}) return (void)std::copy(table, table + M * M * W, y);
    std::fill(y, y + to.size() * W, T(0));
    each_weight(M, to, rule, [&](index cell, index entry, double w) {
      for (index d = 0; d < W; ++d) y[cell * W + d] += T(w * table[entry * W + d]);
    });
  }
  template <class T>
  static void backward(const auto&, index M, index W, grid to, position_rule rule, const T* dy,
                       T* dtable) {
    const auto back = [&](index cell, index entry, double w) {
      for (index d = 0; d < W; ++d) dtable[entry * W + d] += T(w * dy[cell * W + d]);
    };
    if (to == grid{M, M})
      for (index i = 0; i < M * M; ++i) back(i, i, 1);
    else
      each_weight(M, to, rule, back);
  }

 private:
  template <class F>
  static void each_weight(index M, grid to, position_rule rule, const F& f) {
    const auto R = resample_weights(to.rows, M, rule), C = resample_weights(to.cols, M, rule);
    for (index cell = 0; cell < to.size(); ++cell)
      for (index entry = 0; entry < M * M; ++entry) {
        const double w = R[std::size_t(cell / to.cols * M + entry / M)] *
                         C[std::size_t(cell % to.cols * M + entry % M)];
        if (w != 0) f(cell, entry, w);
      }
  }
};

}  // namespace selfpatch
