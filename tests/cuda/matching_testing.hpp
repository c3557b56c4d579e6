// matching_testing: inputs for neighbor_topk on the device layer, and what its results are held
// against.
//
// The reference is the op itself in double, on the rounded inputs. A result may hold another
// neighbor than the reference only where both are equally similar to within the tolerance of float
// sums.
#pragma once

#include <selfpatch/cuda/neighbor_topk.cuh>
#include <selfpatch/ops/neighbor_similarity.hpp>

#include "testing.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sp = selfpatch;

#if defined(__CUDACC__)
/// Memory that both sides see.
template <class T>
struct managed {
  using value_type = T;
  T* allocate(std::size_t n) {
    void* p = nullptr;
    sp::device_code::check(cudaMallocManaged(&p, n * sizeof(T)));
    return static_cast<T*>(p);
  }
  void deallocate(T* p, std::size_t) { cudaFree(p); }
  bool operator==(const managed&) const { return true; }
};
template <class T>
using device_vector = std::vector<T, managed<T>>;
inline void synchronize() { sp::device_code::check(cudaDeviceSynchronize()); }
#else
template <class T>
using device_vector = std::vector<T>;
inline void synchronize() {}
#endif

using features = sp::shape<sp::dyn, sp::dyn, sp::dyn>;

template <class T>
struct matching_input {
  sp::index images, channels;
  sp::grid grid;
  device_vector<T> x;
  sp::tensor<double, features, sp::reference> exact;  // x as it is

  template <class F>
  matching_input(sp::index images_, sp::grid g, sp::index channels_, const F& value)
      : images(images_),
        channels(channels_),
        grid(g),
        x(std::size_t(images_ * g.size() * channels_)),
        exact(features(images_, g.size(), channels_)) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = T(float(value(sp::index(i) / channels, sp::index(i) % channels)));
      exact.data()[i] = double(float(x[i]));
    }
  }
  sp::index patches() const { return images * grid.size(); }
};

/// Patches that have something in common, as those of pictures do.
template <class T>
auto random_input(sp::index images, sp::grid g, sp::index channels, std::uint64_t seed = 1) {
  sp::random draw(seed, sp::purpose::test);
  std::vector<double> common(static_cast<std::size_t>(channels));
  for (double& c : common) c = draw.normal();
  return matching_input<T>(images, g, channels, [&](sp::index, sp::index c) {
    return draw.normal() + 0.7 * common[std::size_t(c)];
  });
}

/// Rows of +-1 in four pieces: sums are exact and many similarities equal.
template <class T>
auto tied_input(sp::index images, sp::grid g, sp::index channels, std::uint64_t seed = 5) {
  sp::random draw(seed, sp::purpose::test);
  int sign = 1;
  return matching_input<T>(images, g, channels, [&](sp::index, sp::index c) {
    if (c % (channels / 4) == 0) sign = draw.below(2) ? 1 : -1;
    return sign;
  });
}

struct matching_output {
  static constexpr int unwritten = -777;
  device_vector<std::int32_t> index;
  device_vector<float> similarity;

  matching_output(sp::index patches, sp::index k)
      : index(std::size_t(patches * k), unwritten),
        similarity(std::size_t(patches * k), std::numeric_limits<float>::quiet_NaN()) {}
  bool operator==(const matching_output& other) const {
    return index == other.index &&
           !std::memcmp(similarity.data(), other.similarity.data(), 4 * similarity.size());
  }
};

/// Greatest distance of results from the reference; infinite where a neighbor is wrong.
template <class T>
double deviation(const matching_output& out, const matching_input<T>& in,
                 const sp::neighborhood& n) {
  const double infinite = std::numeric_limits<double>::infinity(),
               close = 2e-6 * std::sqrt(double(in.channels));
  const auto expected = sp::neighbor_topk(in.exact, in.grid, n);
  const auto all = sp::neighbor_similarity(in.exact, in.grid, n);
  const sp::neighbor_table table(in.grid, n);
  const sp::index K = expected.index.extent(2), size = in.grid.size();
  const auto distance = [](double a, double b) {
    if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
    return std::isfinite(a - b) ? std::abs(a - b) : std::numeric_limits<double>::infinity();
  };
  double worst = 0;
  for (sp::index p = 0; p < in.patches(); ++p) {
    std::vector<std::int32_t> seen;
    for (sp::index s = 0; s < n.k; ++s) {
      const auto found = out.index[std::size_t(p * n.k + s)];
      const float similarity = out.similarity[std::size_t(p * n.k + s)];
      const auto chosen = s < K ? expected.index.data()[p * K + s] : -1;
      if (chosen < 0) {
        if (found != -1 || similarity != -std::numeric_limits<float>::infinity()) return infinite;
        continue;
      }
      const auto* candidates = table.row(p % size);
      const auto m = std::find(candidates, candidates + table.width, found) - candidates;
      const bool again = std::count(seen.begin(), seen.end(), found) > 0;
      if (m == table.width || found < 0 || again) return infinite;
      seen.push_back(found);
      const double own = all.data()[p * table.width + m];
      const double best = expected.similarity.data()[p * K + s];
      worst = std::max({worst, distance(similarity, own), distance(similarity, best)});
      if (found != chosen && !(distance(own, best) < close)) return infinite;
    }
  }
  return worst;
}

/// What float sums may be off.
template <class T>
double tolerance(const matching_input<T>& in) {
  return 2e-6 * std::sqrt(double(in.channels));
}

/// Places where the neighbor is not the one the reference names: for inputs whose sums are exact.
template <class T>
int other_neighbors(const matching_output& out, const matching_input<T>& in,
                    const sp::neighborhood& n) {
  const auto expected = sp::neighbor_topk(in.exact, in.grid, n);
  const sp::index K = expected.index.extent(2);
  int others = 0;
  for (sp::index p = 0; p < in.patches(); ++p)
    for (sp::index s = 0; s < n.k; ++s)
      others +=
          out.index[std::size_t(p * n.k + s)] != (s < K ? expected.index.data()[p * K + s] : -1);
  return others;
}
