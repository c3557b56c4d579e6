// pca: the directions in which tokens differ most, and pictures of them
//
//   x (N, C), mean m   ->   axes v_1 .. v_M (C), the leading eigenvectors of
//                           1/N sum_i (x_i - m)(x_i - m)^T
//
//   coordinates y_ic = (x_i - m) . v_c     the largest entry of v_c in magnitude is positive
//   colors (y_ic - low_c) / (high_c - low_c)     low and high over all pictures shown together
//
// Fit several pictures at once, so that a color means the same in all of them. Sums are double. The
// eigenvectors come from subspace iteration with spare directions and a small Jacobi: no solver
// library is needed.
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/core/tensor.hpp>
#include <selfpatch/data/image.hpp>
#include <selfpatch/ops/patchify.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

namespace selfpatch {

struct principal_components {
  std::vector<double> mean;               ///< (C)
  std::vector<std::vector<double>> axes;  ///< M of them, (C) each, of length 1
  std::vector<double> variance;           ///< along each axis, falling
  double total_variance = 0;              ///< over all C directions

  /// How much of the variance lies along the axes, 0..1; 0 where nothing varies.
  double share() const {
    double sum = 0;
    for (const double v : variance) sum += v;
    return total_variance > 0 ? sum / total_variance : 0;
  }

  /// Coordinates (N, M), row by row, of x (N, C).
  template <class T>
  std::vector<double> project(matrix_view<const T> x) const {
    expects(x.cols == index(mean.size()), "project(x): x must be as wide as what was fitted");
    std::vector<double> y;
    y.reserve(std::size_t(x.rows) * axes.size());
    for (index i = 0; i < x.rows; ++i)
      for (const auto& axis : axes) {
        double sum = 0;
        for (std::size_t c = 0; c < mean.size(); ++c)
          sum += (double(x.row(i)[c]) - mean[c]) * axis[c];
        y.push_back(sum);
      }
    return y;
  }
};

namespace detail {

/// A matrix of doubles, row by row; enough of one for this file.
struct square_or_wide {
  std::size_t rows = 0, cols = 0;
  std::vector<double> values;

  square_or_wide(std::size_t rows, std::size_t cols)
      : rows(rows), cols(cols), values(rows * cols) {}
  double* operator[](std::size_t r) { return values.data() + r * cols; }
  const double* operator[](std::size_t r) const { return values.data() + r * cols; }
};

inline double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// One rotation in the plane of p and q that makes a[p][q] zero; v collects the rotations.
inline void jacobi_rotate(square_or_wide& a, square_or_wide& v, std::size_t p, std::size_t q) {
  if (a[p][q] == 0) return;
  const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
  const double c = 1 / std::sqrt(t * t + 1), s = t * c;
  const auto turn = [c, s](double& x, double& y) {
    const double was = x;
    x = c * was - s * y;
    y = s * was + c * y;
  };
  for (std::size_t k = 0; k < a.rows; ++k) turn(a[k][p], a[k][q]);
  for (std::size_t k = 0; k < a.rows; ++k) turn(a[p][k], a[q][k]), turn(v[p][k], v[q][k]);
}

/// The eigenvectors of a small symmetric matrix, one a row, by falling eigenvalue.
inline square_or_wide small_eigenvectors(square_or_wide a, std::vector<double>& eigenvalues) {
  const std::size_t n = a.rows;
  square_or_wide v(n, n), sorted(n, n);
  for (std::size_t i = 0; i < n; ++i) v[i][i] = 1;
  for (int sweep = 0; sweep < 30; ++sweep)
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) jacobi_rotate(a, v, p, q);

  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < n; ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return a[i][i] > a[j][j]; });
  eigenvalues.clear();
  for (std::size_t i = 0; i < n; ++i) {
    eigenvalues.push_back(a[order[i]][order[i]]);
    std::copy_n(v[order[i]], n, sorted[i]);
  }
  return sorted;
}

/// Rows made orthonormal; one that depends on those before it becomes zero.
inline void orthonormalize(square_or_wide& q) {
  for (std::size_t i = 0; i < q.rows; ++i) {
    const double before = std::sqrt(dot(q[i], q[i], q.cols));
    for (int twice = 0; twice < 2; ++twice)
      for (std::size_t j = 0; j < i; ++j) {
        const double along = dot(q[i], q[j], q.cols);
        for (std::size_t c = 0; c < q.cols; ++c) q[i][c] -= along * q[j][c];
      }
    const double length = std::sqrt(dot(q[i], q[i], q.cols));
    const double scale = length > 1e-12 * before ? 1 / length : 0;
    for (std::size_t c = 0; c < q.cols; ++c) q[i][c] *= scale;
  }
}

/// w x: rows of x combined.
inline square_or_wide combine(const square_or_wide& w, const square_or_wide& x) {
  square_or_wide y(w.rows, x.cols);
  for (std::size_t i = 0; i < w.rows; ++i)
    for (std::size_t j = 0; j < w.cols; ++j)
      for (std::size_t c = 0; c < x.cols; ++c) y[i][c] += w[i][j] * x[j][c];
  return y;
}

/// The leading eigenvectors of a symmetric matrix without negative eigenvalues, one a row: at least
/// `count` good ones, to 1e-13 of the largest eigenvalue or what 400 rounds give.
inline square_or_wide leading_eigenvectors(const square_or_wide& a, std::size_t count,
                                           std::vector<double>& eigenvalues) {
  const std::size_t n = a.rows, m = std::min(n, count + 8);
  square_or_wide q(m, n), aq(m, n), small(m, m);
  random draw(0, purpose::evaluation, n);
  for (double& x : q.values) x = draw.normal();
  orthonormalize(q);
  for (int round = 0;; ++round) {
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t r = 0; r < n; ++r) aq[i][r] = dot(a[r], q[i], n);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < m; ++j) small[i][j] = dot(q[i], aq[j], n);
    const square_or_wide w = small_eigenvectors(small, eigenvalues);
    q = combine(w, q);
    aq = combine(w, aq);
    double worst = 0;  // |A v - lambda v|^2 of the wanted ones
    for (std::size_t i = 0; i < count; ++i) {
      double residual = 0;
      for (std::size_t c = 0; c < n; ++c) {
        const double r = aq[i][c] - eigenvalues[i] * q[i][c];
        residual += r * r;
      }
      worst = std::max(worst, residual);
    }
    if (std::sqrt(worst) <= 1e-13 * eigenvalues[0] || round == 400) return q;
    q = aq;
    orthonormalize(q);
  }
}

}  // namespace detail

/// The `count` first principal components of x (N, C), N and C at least 1; at most C of them.
template <class T>
principal_components fit_pca(matrix_view<const T> x, std::size_t count = 3) {
  expects(x.rows > 0 && x.cols > 0, "fit_pca(x): x is not empty");
  const auto C = std::size_t(x.cols);
  const double N = double(x.rows);
  principal_components fit;
  fit.mean.resize(C);
  for (index i = 0; i < x.rows; ++i)
    for (std::size_t c = 0; c < C; ++c) fit.mean[c] += double(x.row(i)[c]) / N;

  detail::square_or_wide covariance(C, C);
  std::vector<double> centered(C);
  for (index i = 0; i < x.rows; ++i) {
    for (std::size_t c = 0; c < C; ++c) centered[c] = double(x.row(i)[c]) - fit.mean[c];
    for (std::size_t r = 0; r < C; ++r)
      for (std::size_t c = 0; c <= r; ++c) covariance[r][c] += centered[r] * centered[c];
  }
  for (std::size_t r = 0; r < C; ++r)
    for (std::size_t c = 0; c <= r; ++c) covariance[c][r] = covariance[r][c] /= N;
  for (std::size_t c = 0; c < C; ++c) fit.total_variance += covariance[c][c];

  count = std::min(count, C);
  const auto v = detail::leading_eigenvectors(covariance, count, fit.variance);
  fit.variance.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<double> axis(v[i], v[i] + C);
    const double largest = *std::max_element(
        axis.begin(), axis.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (largest < 0)
      for (double& a : axis) a = -a;
    fit.axes.push_back(std::move(axis));
  }
  return fit;
}

/// From three coordinates to red, green, blue.
struct color_scale {
  std::array<double, 3> low{}, high{};

  /// Over coordinates (N, 3). `cut`: the share of patches at either end that may saturate; 0 makes
  /// it the least and the greatest.
  static color_scale of(std::span<const double> coordinates, double cut = 0.01) {
    expects(!coordinates.empty() && coordinates.size() % 3 == 0,
            "color_scale::of(coordinates): three coordinates a patch");
    color_scale scale;
    std::vector<double> sorted(coordinates.size() / 3);
    const auto skipped = std::size_t(cut * double(sorted.size() - 1));
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = coordinates[3 * i + c];
      std::sort(sorted.begin(), sorted.end());
      scale.low[c] = sorted[skipped];
      scale.high[c] = sorted[sorted.size() - 1 - skipped];
    }
    return scale;
  }

  /// Halves are rounded up; a coordinate that does not vary is middle grey.
  std::uint8_t color(double y, std::size_t c) const {
    const double t = high[c] > low[c] ? (y - low[c]) / (high[c] - low[c]) : 0.5;
    return std::uint8_t(255 * std::clamp(t, 0.0, 1.0) + 0.5);
  }
};

/// One pixel a patch, from coordinates (N, 3) of its patches.
inline image pca_picture(std::span<const double> coordinates, grid g, const color_scale& scale) {
  expects(index(coordinates.size()) == 3 * g.size(),
          "pca_picture(coordinates, grid, scale): three coordinates a patch of the grid");
  image p(int(g.cols), int(g.rows), 3);
  for (std::size_t i = 0; i < coordinates.size(); ++i)
    p.pixels[i] = scale.color(coordinates[i], i % 3);
  return p;
}

/// Every pixel made a square of `factor` x `factor`.
inline image enlarged(const image& small, int factor) {
  image p(small.width * factor, small.height * factor, small.channels);
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x)
      for (int c = 0; c < p.channels; ++c)
        p.row(y)[x * p.channels + c] = small.row(y / factor)[x / factor * p.channels + c];
  return p;
}

}  // namespace selfpatch
