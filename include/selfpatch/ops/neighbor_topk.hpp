// neighbor_topk: for every patch, the k neighbors on the grid most similar to it
//
//   x (B, N, C), N = rows * cols   ->   index (B, N, K) int32, similarity (B, N, K)
//
//   sim_ij = x_i . x_j / (max(|x_i|, 1e-12) max(|x_j|, 1e-12))
//   j in the window of radius r around i, i left out;  K = min(k, most candidates)
//
// The window wraps around on a torus and is cut off where the border is clamped; a patch met twice
// counts once. Greater similarity first, then the lower patch number; NaN counts as greatest. Slots
// without a candidate are -1 (similarity -inf). Sums are float for float, double for double. A
// choice has no gradient.
#pragma once

#include <selfpatch/ops/patchify.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace selfpatch {

enum class border { torus, clamped };

/// Which neighbors are candidates and how many are taken.
struct neighborhood {
  index k = 4;
  index radius = 1;
  border edge = border::torus;
  bool include_self =
      false;  ///< the patch itself is a candidate too (the published method leaves it out)

  /// Candidates of a patch far from any border.
  constexpr index window() const { return (2 * radius + 1) * (2 * radius + 1) - !include_self; }
  /// The most that a patch of the grid has: all distinct ones of a window, or the whole grid.
  constexpr index most_candidates(grid g) const {
    const index side = 2 * radius + 1;
    return g.size() ? std::min(side, g.rows) * std::min(side, g.cols) - !include_self : 0;
  }
};

/// Per patch its distinct candidates in ascending order, row by row; short rows end in -1.
struct neighbor_table {
  index width = 0;  ///< candidates per row
  std::vector<std::int32_t> candidates;

  neighbor_table(grid g, const neighborhood& n) : width(n.most_candidates(g)) {
    candidates.assign(std::size_t(g.size() * width), -1);
    const axis down(g.rows, n), across(g.cols, n);
    std::int32_t* row = candidates.data();
    for (index r = 0; r < g.rows; ++r)
      for (index c = 0; c < g.cols; ++c, row += width) {
        std::int32_t* next = row;
        for (const std::int32_t i : down[r])
          for (const std::int32_t j : across[c])
            if (n.include_self || i != r || j != c) *next++ = std::int32_t(i * g.cols) + j;
      }
  }
  const std::int32_t* row(index i) const { return candidates.data() + i * width; }

 private:
  /// Per place along one side the distinct places within the radius, ascending. A window is the
  /// product of two such lists, so it is ascending too.
  class axis {
   public:
    axis(index size, const neighborhood& n) : first_(std::size_t(size + 1)) {
      near_.reserve(std::size_t(size * std::min(size, 2 * n.radius + 1)));
      for (index i = 0; i < size; ++i) {
        for (index j = 0; j < size; ++j) {
          const index d = i < j ? j - i : i - j;
          if (d <= n.radius || (n.edge == border::torus && size - d <= n.radius))
            near_.push_back(std::int32_t(j));
        }
        first_[std::size_t(i + 1)] = near_.size();
      }
    }
    std::span<const std::int32_t> operator[](index i) const {
      const std::size_t from = first_[std::size_t(i)];
      return {near_.data() + from, first_[std::size_t(i + 1)] - from};
    }

   private:
    std::vector<std::int32_t> near_;
    std::vector<std::size_t> first_;  ///< where each place's list begins
  };
};

/// What neighbor_topk finds.
template <class T, class Device>
struct neighbors {
  tensor<std::int32_t, shape<dyn, dyn, dyn>, Device> index;  ///< (B, N, K)
  tensor<T, shape<dyn, dyn, dyn>, Device> similarity;        ///< (B, N, K), in the order of index
};

/// True when a goes before b: NaN first, then the greater.
template <class A>
constexpr bool more_similar(A a, A b) {
  return a > b || (a != a && b == b);
}

namespace op {
struct neighbor_topk {
  grid on_grid;
  neighborhood which;
};
}  // namespace op

/// Throws where k or the grid makes no sense: k in 1 .. (2r+1)^2 - 1, N = rows * cols.
template <class X>
auto neighbor_topk(const X& x, grid g, const neighborhood& n) {
  static_assert(shape_of<X>::rank == 3, "neighbor_topk(x, grid, neighborhood): x is (B, N, C)");
  using T = sum_of<value_of_t<X>>;
  using D = device_of<X>;
  same_extent(g.size(), x.extent(1),
              "neighbor_topk(x, grid, neighborhood): N must be rows * cols of the grid");
  if (n.radius < 1 || n.k < 1 || n.k > n.window())
    throw error(problem{
        .what = "neighbor_topk: k is beyond the window",
        .expected = "1.." + std::to_string(n.window()) + " for radius " + std::to_string(n.radius),
        .found = std::to_string(n.k)});
  const neighbor_table table(g, n);
  const index B = x.extent(0), N = x.extent(1), K = std::min(n.k, table.width);
  neighbors<T, D> found{{shape<dyn, dyn, dyn>(B, N, K), uninitialized, x.on()},
                        {shape<dyn, dyn, dyn>(B, N, K), uninitialized, x.on()}};
  timed(detail::watching(x), short_name<op::neighbor_topk>(), 0, [&] {
    kernel<op::neighbor_topk, D>::forward(x.on(), op::neighbor_topk{g, n}, table, B, x.extent(2),
                                          x.data(), K, found.index.data(), found.similarity.data());
  });
  return found;
}

/// The same where the compiler knows the neighborhood.
template <neighborhood N, class X>
auto neighbor_topk(const X& x, grid g) {
  static_assert(N.radius >= 1 && N.k >= 1 && N.k <= N.window(),
                "neighbor_topk<n>(x, grid): k is beyond the window");
  return neighbor_topk(x, g, N);
}

template <>
struct kernel<op::neighbor_topk, reference> {
  template <class T, class A>
  static void forward(const auto&, const op::neighbor_topk&, const neighbor_table& table, index B,
                      index C, const T* x, index K, std::int32_t* chosen, A* similarity) {
    const index N = table.width ? index(table.candidates.size()) / table.width : 0;
    std::vector<A> all(std::size_t(B * N * table.width));
    similarities(x, B, N, C, table, all.data());
    for (index i = 0; i < B * N; ++i)
      select(all.data() + i * table.width, table.row(i % N), table.width, K, chosen + i * K,
             similarity + i * K);
  }

  template <class T, class A>
  static void similarities(const T* x, index B, index N, index C, const neighbor_table& table,
                           A* all) {
    const auto dot = [C](const T* a, const T* b) {
      A sum = 0;
      for (index c = 0; c < C; ++c) sum += A(a[c]) * A(b[c]);
      return sum;
    };
    for (index b = 0; b < B; ++b)
      for (index i = 0; i < N; ++i)
        for (index m = 0; m < table.width; ++m) {
          const index j = table.row(i)[m];
          const T *xi = x + (b * N + i) * C, *xj = x + (b * N + j) * C;
          all[(b * N + i) * table.width + m] =
              j < 0 ? -std::numeric_limits<A>::infinity()
                    : dot(xi, xj) / (length(dot(xi, xi)) * length(dot(xj, xj)));
        }
  }

  /// The K best of M candidates in ascending order: inserted one by one, an equal one goes behind.
  template <class A>
  static void select(const A* all, const std::int32_t* candidate, index M, index K,
                     std::int32_t* chosen, A* best) {
    index filled = 0;
    for (index m = 0; m < M && candidate[m] >= 0; ++m) {
      index at = filled;
      while (at > 0 && more_similar(all[m], best[at - 1])) --at;
      if (at == K) continue;
      filled = std::min(filled + 1, K);
      for (index s = filled - 1; s > at; --s) {
        best[s] = best[s - 1];
        chosen[s] = chosen[s - 1];
      }
      best[at] = all[m];
      chosen[at] = candidate[m];
    }
    for (index s = filled; s < K; ++s) {
      best[s] = -std::numeric_limits<A>::infinity();
      chosen[s] = -1;
    }
  }

  /// |x|, at least 1e-12.
  template <class A>
  static A length(A squares) {
    const A l = std::sqrt(squares);
    return l < A(1e-12) ? A(1e-12) : l;
  }
};

}  // namespace selfpatch
