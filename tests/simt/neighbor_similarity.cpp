#include <selfpatch/cuda/neighbor_similarity.cuh>

#include "cuda/gradient_testing.hpp"

namespace {

using sp::device_code::grid_window;

template <class T>
struct problem {
  matching_input<T> x;
  grid_window grid;
  int k;
  device_vector<std::int32_t> index;
  device_vector<float> s, ds;

  problem(matching_input<T> x_, const grid_window& g, int k_, device_vector<std::int32_t> index_)
      : x(std::move(x_)), grid(g), k(k_), index(std::move(index_)) {
    ds = random_values<float>(index.size(), 11);
    for (std::size_t e = 0; e < index.size(); ++e)
      s.push_back(index[e] < 0 ? -std::numeric_limits<float>::infinity()
                               : float(similarity(x.exact.data(), e)));
  }
  sp::index patch(std::size_t e) const { return sp::index(e) / k; }
  sp::index other(std::size_t e) const { return patch(e) - patch(e) % x.grid.size() + index[e]; }
  /// What slot e names, on any features.
  double similarity(const double* of, std::size_t e) const {
    const sp::index C = x.channels;
    const double *a = of + patch(e) * C, *b = of + other(e) * C;
    double ab = 0, aa = 0, bb = 0;
    for (sp::index c = 0; c < C; ++c) ab += a[c] * b[c], aa += a[c] * a[c], bb += b[c] * b[c];
    return ab / (std::max(std::sqrt(aa), 1e-12) * std::max(std::sqrt(bb), 1e-12));
  }
};

template <class T>
problem<T> near(matching_input<T> x, const sp::neighborhood& n) {
  const auto grid = window_of(x.grid, n);
  auto index = random_choices(x.images, x.grid, n, 13);
  return {std::move(x), grid, int(n.k), std::move(index)};
}

/// The product rule, slot by slot, added to both rows of each.
template <class T>
std::vector<double> expected(const problem<T>& in) {
  const sp::index C = in.x.channels;
  const double* const x = in.x.exact.data();
  const auto length = [&](sp::index row) {
    double squares = 0;
    for (sp::index c = 0; c < C; ++c) squares += x[row * C + c] * x[row * C + c];
    return std::sqrt(squares);
  };
  std::vector<double> dx(in.x.x.size());
  for (std::size_t e = 0; e < in.index.size(); ++e) {
    if (in.index[e] < 0) continue;
    const double s = in.similarity(x, e);
    const auto half = [&](sp::index a, sp::index b) {
      const double na = std::max(length(a), 1e-12), nb = std::max(length(b), 1e-12);
      const double along = length(a) < 1e-12 ? 0 : s / (na * na);
      for (sp::index c = 0; c < C; ++c)
        dx[std::size_t(a * C + c)] += in.ds[e] * (x[b * C + c] / (na * nb) - along * x[a * C + c]);
    };
    half(in.patch(e), in.other(e));
    half(in.other(e), in.patch(e));
  }
  return dx;
}

template <class T>
device_vector<T> run(const problem<T>& in) {
  device_vector<T> dx(in.x.x.size(), T(NAN));
  sp::neighbor_similarity_backward<T>({}, in.x.x.data(), int(in.x.images), int(in.x.channels),
                                      in.grid, {in.index.data(), in.s.data(), in.ds.data(), in.k},
                                      dx.data());
  synchronize();
  return dx;
}

template <class T>
double error_of(const problem<T>& in) {
  return relative_error(run(in), expected(in)) / tolerance_of<T>;
}

constexpr sp::border borders[] = {sp::border::torus, sp::border::clamped};

}  // namespace

TEST_CASE("what the gradient of similarities is held against is their derivative",
          "[simt][neighbor_similarity]") {
  const auto in = near(random_input<float>(1, {3, 3}, 8), {.k = 3, .include_self = true});
  const auto dx = expected(in);
  std::vector<double> x(in.x.exact.data(), in.x.exact.data() + in.x.x.size());
  const auto loss = [&] {
    double sum = 0;
    for (std::size_t e = 0; e < in.index.size(); ++e)
      if (in.index[e] >= 0) sum += in.ds[e] * in.similarity(x.data(), e);
    return sum;
  };
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i], h = 1e-5;
    x[i] = at + h;
    const double above = loss();
    x[i] = at - h;
    const double below = loss();
    x[i] = at;
    worst = std::max(worst, std::abs((above - below) / (2 * h) - dx[i]));
  }
  CHECK(worst < 1e-8);
}

TEMPLATE_TEST_CASE("every kernel of neighbor_similarity_backward agrees with the reference",
                   "[simt][neighbor_similarity]", float, sp::bf16, sp::f16) {
  for (const sp::index C : {8, 40, 192, 384, 520, 1000})
    CHECK(error_of(near(random_input<TestType>(1, {4, 5}, C), {.k = 4})) <= 1);
  for (const sp::index C : {768, 896, 1288, 2048})
    CHECK(error_of(near(random_input<TestType>(1, {2, 3}, C), {.k = 3})) <= 1);
  const sp::neighborhood wide{.k = 24, .radius = 2, .edge = sp::border::clamped};
  CHECK(error_of(near(random_input<TestType>(2, {6, 5}, 48), wide)) <= 1);
}

TEST_CASE("neighbor_similarity_backward on CUDA is right on every grid to 6 x 6",
          "[simt][neighbor_similarity]") {
  double worst = 0;
  for (sp::index rows = 1; rows <= 6; ++rows)
    for (sp::index cols = 1; cols <= 6; ++cols)
      for (const sp::index radius : {1, 2})
        for (const auto edge : borders) {
          sp::neighborhood n{.radius = radius, .edge = edge};
          n.k = 1 + (rows * 7 + cols * 3) % n.window();
          worst = std::max(worst, error_of(near(random_input<float>(2, {rows, cols}, 8), n)));
        }
  CHECK(worst <= 1);
}

TEST_CASE("neighbor_similarity_backward on CUDA follows what neighbor_topk chose",
          "[simt][neighbor_similarity]") {
  const sp::neighborhood n{.k = 4};
  auto x = random_input<float>(2, {5, 6}, 16);
  matching_output found(x.patches(), n.k);
  sp::neighbor_topk<float>({}, x.x.data(), x.images, x.channels, x.grid, n, found.index.data(),
                           found.similarity.data());
  synchronize();
  const auto window = window_of(x.grid, n);
  problem<float> in(std::move(x), window, 4, found.index);
  in.s = found.similarity;
  CHECK(error_of(in) <= 1);
}

TEST_CASE("neighbor_similarity_backward on CUDA takes choices from anywhere",
          "[simt][neighbor_similarity]") {
  sp::random draw(3, sp::purpose::test);
  device_vector<std::int32_t> index(2 * 42 * 5);
  for (auto& t : index) t = draw.below(5) ? std::int32_t(draw.below(42)) : -1;
  const problem<float> in(random_input<float>(2, {6, 7}, 16), sp::whole_image(42), 5, index);
  CHECK(error_of(in) <= 1);
}

TEST_CASE("neighbor_similarity_backward on CUDA knows rows too short to have a length",
          "[simt][neighbor_similarity]") {
  for (const float size : {0.f, 1e-13f, 1e-11f}) {
    const auto x = random_input<float>(1, {4, 4}, 8);
    matching_input<float> small(1, {4, 4}, 8, [&](sp::index row, sp::index c) {
      return x.x[std::size_t(row * 8 + c)] * (row == 5 ? size : 1.f);
    });
    const auto in = near(std::move(small), {.k = 4});
    const auto dx = run(in);
    auto should = expected(in);
    double worst = 0;  // row by row: that of the short one is 1e12 times the others
    for (std::ptrdiff_t row = 0; row < 16; ++row)
      worst = std::max(
          worst,
          relative_error(std::vector(dx.begin() + 8 * row, dx.begin() + 8 * row + 8),
                         std::vector(should.begin() + 8 * row, should.begin() + 8 * row + 8)));
    CHECK(worst < 1e-5);
  }
}

TEST_CASE("neighbor_similarity_backward on CUDA has the same bits in every order",
          "[simt][neighbor_similarity]") {
  const auto in = near(random_input<float>(2, {5, 7}, 40), {.k = 4});
  const auto once = run(in);
  for ([[maybe_unused]] const int order : {0, 1, 2}) {
#if !defined(__CUDACC__)
    const simt::with on({.order = simt::order(order)});
#endif
    const auto again = run(in);
    CHECK(again == once);
  }
}

TEST_CASE("neighbor_similarity_backward on CUDA adds where it is told to",
          "[simt][neighbor_similarity]") {
  const auto in = near(random_input<float>(1, {3, 4}, 16), {.k = 4});
  const auto once = run(in);
  auto dx = once;
  sp::neighbor_similarity_backward<float>({}, in.x.x.data(), 1, 16, in.grid,
                                          {in.index.data(), in.s.data(), in.ds.data(), in.k},
                                          dx.data(), true);
  synchronize();
  for (std::size_t i = 0; i < dx.size(); ++i) REQUIRE(dx[i] == 2 * once[i]);
}

TEST_CASE("neighbor_similarity_backward on CUDA refuses what it has no kernel for",
          "[simt][neighbor_similarity]") {
  const auto backward = [](int C, int k) {
    sp::neighbor_similarity_backward<float>({}, nullptr, 1, C, {3, 3, 1, true, false},
                                            {nullptr, nullptr, nullptr, k}, nullptr);
  };
  CHECK_THROWS_WITH(backward(12, 4), contains("8, 16, .. 2048"));
  CHECK_THROWS_WITH(backward(2056, 4), contains("2048"));
  CHECK_THROWS_WITH(backward(16, 26), contains("0..25"));
}
