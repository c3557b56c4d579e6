// gradient_testing: random rows in the type of a kernel and as the doubles they are, and how far
// results may be from the reference.
#pragma once

#include <selfpatch/cuda/neighbor_window.cuh>

#include "cuda/matching_testing.hpp"

#include <type_traits>

template <class T>
device_vector<T> random_values(std::size_t count, std::uint64_t seed) {
  sp::random draw(seed, sp::purpose::test);
  device_vector<T> x(count);
  for (T& value : x) value = T(float(draw.normal()));
  return x;
}

template <class Values>
std::vector<double> as_doubles(const Values& x) {
  std::vector<double> y;
  for (const auto& value : x) y.push_back(double(float(value)));
  return y;
}

/// |x - expected| / |expected|; infinite where either is not finite.
template <class Values>
double relative_error(const Values& x, const std::vector<double>& expected) {
  double wrong = 0, all = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = double(float(x[i])) - expected[i];
    wrong += difference * difference;
    all += expected[i] * expected[i];
  }
  if (!std::isfinite(wrong + all)) return std::numeric_limits<double>::infinity();
  return wrong == 0 ? 0 : std::sqrt(wrong / all);
}

/// What rounding results to T, and sums in float, may cost.
template <class T>
constexpr double tolerance_of = std::is_same_v<T, float>      ? 1e-5
                                : std::is_same_v<T, sp::bf16> ? 4e-3
                                                              : 1e-3;

inline sp::device_code::grid_window window_of(sp::grid g, const sp::neighborhood& n) {
  return {int(g.rows), int(g.cols), int(n.radius), n.edge == sp::border::torus, n.include_self};
}

/// Per patch a random choice from its candidates, up to k of them; every fifth patch makes none.
inline device_vector<std::int32_t> random_choices(sp::index images, sp::grid g,
                                                  const sp::neighborhood& n, std::uint64_t seed) {
  sp::random draw(seed, sp::purpose::test);
  const sp::neighbor_table table(g, n);
  device_vector<std::int32_t> index;
  for (sp::index i = 0; i < images * g.size(); ++i) {
    std::vector<std::int32_t> left;
    for (sp::index m = 0; m < table.width; ++m)
      if (table.row(i % g.size())[m] >= 0) left.push_back(table.row(i % g.size())[m]);
    for (sp::index slot = 0; slot < n.k; ++slot) {
      if (left.empty() || i % 5 == 4) {
        index.push_back(-1);
        continue;
      }
      const auto which = left.begin() + std::ptrdiff_t(draw.below(left.size()));
      index.push_back(*which);
      left.erase(which);
    }
  }
  return index;
}
