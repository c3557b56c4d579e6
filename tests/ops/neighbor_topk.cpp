#include <selfpatch/ops/neighbor_topk.hpp>

#include "ops_testing.hpp"

#include <set>

namespace {

using features = sp::shape<sp::dyn, sp::dyn, sp::dyn>;
constexpr sp::border borders[] = {sp::border::torus, sp::border::clamped};

/// The definition, written once more: all cells of the grid that are near enough, sorted.
std::vector<int> candidates_of(sp::grid g, const sp::neighborhood& n, int i) {
  std::vector<int> near;
  const auto distance = [&](int a, int b, int size) {
    const int d = std::abs(a - b);
    return n.edge == sp::border::torus ? std::min(d, size - d) : d;
  };
  const int rows = int(g.rows), cols = int(g.cols);
  for (int j = 0; j < rows * cols; ++j)
    if ((n.include_self || j != i) && distance(i / cols, j / cols, rows) <= n.radius &&
        distance(i % cols, j % cols, cols) <= n.radius)
      near.push_back(j);
  return near;
}

template <class X>
double cosine(const X& x, sp::index a, sp::index b) {
  double ab = 0, aa = 0, bb = 0;
  for (sp::index c = 0; c < x.extent(2); ++c) {
    const double u = rows(x).row(a)[c], v = rows(x).row(b)[c];
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  return ab / (std::max(std::sqrt(aa), 1e-12) * std::max(std::sqrt(bb), 1e-12));
}

/// What the oracle chooses for row i of the batch: by falling similarity, equal ones by rising
/// number.
template <class X>
std::vector<int> oracle(const X& x, sp::grid g, const sp::neighborhood& n, sp::index i) {
  auto near = candidates_of(g, n, int(i % g.size()));
  const sp::index first = i / g.size() * g.size();
  std::stable_sort(near.begin(), near.end(),
                   [&](int a, int b) { return cosine(x, i, first + a) > cosine(x, i, first + b); });
  if (sp::index(near.size()) > n.k) near.resize(std::size_t(n.k));
  return near;
}

/// Features of whole numbers, so that all sums are exact and many similarities equal.
auto tied_features(sp::index B, sp::index N) {
  sp::tensor<double, features> x(features(B, N, 4));
  sp::random draw(5, sp::purpose::test);
  for (double& v : x.values()) v = draw.below(2) ? 1 : -1;
  return x;
}

template <class D, class X>
int other_choices(const X& x, sp::grid g, const sp::neighborhood& n) {
  const auto found = sp::neighbor_topk(on_device<D>(x), g, n);
  const sp::index K = found.index.extent(2);
  int others = 0;
  for (sp::index i = 0; i < x.extent(0) * g.size(); ++i) {
    const auto expected = oracle(x, g, n, i);
    for (sp::index s = 0; s < K; ++s) {
      const int found_here = found.index.data()[i * K + s];
      others += found_here != (s < sp::index(expected.size()) ? expected[std::size_t(s)] : -1);
    }
    others += sp::index(expected.size()) > K;
  }
  return others;
}

}  // namespace

TEMPLATE_TEST_CASE(
    "neighbor_topk is the brute-force choice on every grid up to 5 x 5, radius, border and k",
    "[ops][neighbor_topk]", sp::reference, sp::cpu) {
  int others = 0;
  for (sp::index h = 1; h <= 5; ++h)
    for (sp::index w = 1; w <= 5; ++w)
      for (const sp::index radius : {1, 2})
        for (const auto edge : borders)
          for (const bool self : {false, true}) {
            const auto x = random_tensor<double>(features(2, h * w, 5), std::uint64_t(h * 8 + w));
            const auto tied = tied_features(1, h * w);
            sp::neighborhood n{.radius = radius, .edge = edge, .include_self = self};
            for (n.k = 1; n.k <= n.window(); ++n.k) {
              others += other_choices<TestType>(x, {h, w}, n);
              others += other_choices<TestType>(tied, {h, w}, n);
            }
          }
  CHECK(others == 0);
}

namespace {

/// Rows that invite trouble: zeros, huge, tiny, equal ones; with `broken` NaN, Inf and overflow
/// too.
auto troubled_features(sp::index B, sp::index N, sp::index C, bool broken) {
  auto x = adversarial_tensor<float>(features(B, N, C), std::uint64_t(N * 8 + C));
  for (sp::index i = 0; broken && i < B * N; ++i) {
    float* row = rows(x).row(i);
    if (i % 11 == 5) row[i % C] = std::numeric_limits<float>::quiet_NaN();
    if (i % 13 == 6) row[i % C] = -std::numeric_limits<float>::infinity();
    for (sp::index c = 0; i % 17 == 7 && c < C; ++c) row[c] *= 1e25f;
  }
  return x;
}

/// How many slots of the cpu differ from those of the reference, which were asked for all
/// candidates. Another index is another choice unless the similarities are as good as equal.
template <class X, class All>
int other_slots(const X& x, sp::grid g, const sp::neighborhood& n, const All& all) {
  const auto found = sp::neighbor_topk(x, g, n);
  const sp::index K = found.index.extent(2), M = all.index.extent(2);
  const auto close = [](float a, float b) {
    return a == b || std::abs(a - b) < 1e-6f || (std::isnan(a) && std::isnan(b));
  };
  int others = K != std::min(n.k, M);
  for (sp::index i = 0; i < x.extent(0) * g.size(); ++i) {
    const std::int32_t *mine = found.index.data() + i * K, *whole = all.index.data() + i * M;
    const float *similarity = found.similarity.data() + i * K, *of = all.similarity.data() + i * M;
    for (sp::index s = 0; s < K; ++s) {
      const sp::index at = std::find(whole, whole + M, mine[s]) - whole;
      const bool again = mine[s] >= 0 && std::find(mine, mine + s, mine[s]) != mine + s;
      others += at == M || again || !close(similarity[s], of[s]);
      others += mine[s] != whole[s] && (at == M || of[at] == of[s] || !close(of[at], of[s]));
    }
  }
  return others;
}

/// Sums what f(grid, neighborhood) counts, over grids up to `side`, radius, border, self or not.
template <class F>
int count_over_grids(sp::index side, const F& f) {
  int count = 0;
  for (sp::index h = 1; h <= side; ++h)
    for (sp::index w = 1; w <= side; ++w)
      for (const sp::index radius : {1, 2})
        for (const auto edge : borders)
          for (const bool self : {false, true})
            count += f(sp::grid{h, w},
                       sp::neighborhood{.radius = radius, .edge = edge, .include_self = self});
  return count;
}

}  // namespace

TEST_CASE("neighbor_topk finds on the cpu what the reference finds, on every grid up to 9 x 9",
          "[ops][neighbor_topk]") {
  CHECK(count_over_grids(9, [](sp::grid g, sp::neighborhood n) {
          int others = 0;
          for (const bool broken : {false, true}) {
            const auto x = troubled_features(2, g.size(), 5 + 14 * (g.cols % 2), broken);
            n.k = n.window();
            const auto all = sp::neighbor_topk(on_device<sp::reference>(x), g, n);
            for (n.k = 1; n.k <= n.window(); ++n.k) others += other_slots(x, g, n, all);
          }
          return others;
        }) == 0);
}

TEST_CASE("neighbor_topk orders equal rows by number wherever they lie", "[ops][neighbor_topk]") {
  // Rows that a float cannot sum exactly: only the same order of sums makes their similarities
  // equal.
  CHECK(count_over_grids(7, [](sp::grid g, sp::neighborhood n) {
          auto x = random_tensor<float>(features(1, g.size(), 37), std::uint64_t(g.size()));
          for (sp::index i = 0; i < g.size(); ++i)
            if (i % 3) std::copy_n(rows(x).row(i % 2), 37, rows(x).row(i));
          n.k = n.window();
          const auto found = sp::neighbor_topk(x, g, n);
          const sp::index K = found.index.extent(2);
          int wrong = 0;
          for (sp::index s = 0; s + 1 < g.size() * K; ++s) {
            const std::int32_t a = found.index.data()[s], b = found.index.data()[s + 1];
            if ((s + 1) % K == 0 || b < 0) continue;
            const bool same = std::equal(rows(x).row(a), rows(x).row(a) + 37, rows(x).row(b));
            wrong += same && !(a < b);
          }
          return wrong;
        }) == 0);
}

TEST_CASE("neighbor_topk of bf16 on the cpu is that of the reference", "[ops][neighbor_topk]") {
  for (const int C : {1, 16, 40}) {
    const auto x = random_tensor<sp::bf16>(features(2, 35, C), std::uint64_t(C));
    for (const auto edge : borders) {
      sp::neighborhood n{.k = 8, .edge = edge};
      const auto all = sp::neighbor_topk(on_device<sp::reference>(x), {7, 5}, n);
      for (n.k = 1; n.k <= 8; ++n.k) CHECK(other_slots(x, {7, 5}, n, all) == 0);
    }
  }
}

TEST_CASE("neighbor_topk takes any radius", "[ops][neighbor_topk]") {
  for (const auto edge : borders) {
    const auto x = random_tensor<float>(features(1, 99, 20));
    sp::neighborhood n{.k = 48, .radius = 3, .edge = edge};
    const auto all = sp::neighbor_topk(on_device<sp::reference>(x), {9, 11}, n);
    for (const int k : {1, 4, 7, 20, 48}) {
      n.k = k;
      CHECK(other_slots(x, {9, 11}, n, all) == 0);
    }
  }
}

TEST_CASE("neighbor_table lists each candidate once, in ascending order", "[ops][neighbor_topk]") {
  // corners and edges of 6 x 6 and 14 x 14 on a torus, radius 1
  const auto row = [](sp::index side, sp::index i) {
    const sp::neighbor_table table({side, side}, {});
    return std::vector<int>(table.row(i), table.row(i) + table.width);
  };
  CHECK(row(6, 0) == std::vector{1, 5, 6, 7, 11, 30, 31, 35});
  CHECK(row(6, 7) == std::vector{0, 1, 2, 6, 8, 12, 13, 14});
  CHECK(row(14, 13) == std::vector{0, 12, 14, 26, 27, 182, 194, 195});
  CHECK(row(14, 195) == std::vector{0, 12, 13, 168, 180, 181, 182, 194});
  CHECK(sp::neighbor_table({1, 1}, {}).width == 0);
}

TEST_CASE("neighbor_topk finds the same on the cpu as in the reference, whatever the width",
          "[ops][neighbor_topk]") {
  for (const int C : {1, 3, 15, 16, 17, 48, 100}) {
    const auto x = random_tensor<float>(features(2, 35, C), std::uint64_t(C));
    for (const auto edge : borders) {
      const sp::neighborhood n{.k = 5, .radius = 2, .edge = edge};
      const auto fast = sp::neighbor_topk(x, {7, 5}, n);
      const auto plain = sp::neighbor_topk(on_device<sp::reference>(x), {7, 5}, n);
      CHECK(largest_difference(fast.similarity, plain.similarity) < 1e-6);
      if (C > 1)
        CHECK(largest_difference(fast.index, plain.index) ==
              0);  // of width 1 all similarities are +-1
    }
  }
}

TEST_CASE(
    "neighbor_topk chooses a zero row's neighbors by number, and nobody prefers it to a like one",
    "[ops][neighbor_topk]") {
  sp::tensor<float, features> x(features(1, 9, 2));
  for (sp::index i = 0; i < 9; ++i) rows(x).row(i)[0] = 1;
  rows(x).row(4)[0] = 0;  // the middle of 3 x 3
  const auto found = sp::neighbor_topk(x, {3, 3}, {.k = 3});
  for (int s = 0; s < 3; ++s) {
    CHECK(found.index.data()[4 * 3 + s] == s);
    CHECK(found.similarity.data()[4 * 3 + s] == 0);
  }
  for (sp::index i = 0; i < 9; ++i)
    for (int s = 0; s < 3; ++s)
      if (i != 4) CHECK(found.index.data()[i * 3 + s] != 4);
}

TEST_CASE("neighbor_topk puts NaN first and lets it be seen", "[ops][neighbor_topk]") {
  auto x = random_tensor<float>(features(1, 36, 4));
  rows(x).row(8)[2] = std::numeric_limits<float>::quiet_NaN();
  const auto found = sp::neighbor_topk(x, {6, 6}, {.k = 2});
  for (const int i : {1, 2, 3, 7, 9, 13, 14, 15}) {
    CHECK(found.index.data()[i * 2] == 8);
    CHECK(std::isnan(found.similarity.data()[i * 2]));
  }
  CHECK(found.index.data()[8 * 2] == 1);  // all of its own are NaN: the lower number first
  CHECK_FALSE(std::isnan(found.similarity.data()[30 * 2]));
}

TEST_CASE("neighbor_topk does not overflow on long rows or vanish on short ones",
          "[ops][neighbor_topk]") {
  const auto x = random_tensor<float>(features(1, 36, 8));
  const auto expected = sp::neighbor_topk(x, {6, 6}, {});
  for (const float scale : {1e15f, 1e-9f}) {
    auto y = x.clone();
    for (float& v : y.values()) v *= scale;
    const auto found = sp::neighbor_topk(y, {6, 6}, {});
    CHECK(largest_difference(found.index, expected.index) == 0);
    CHECK(largest_difference(found.similarity, expected.similarity) < 1e-5);
  }
}

TEST_CASE("neighbor_topk has the same bits for any number of threads",
          "[ops][neighbor_topk][parallel]") {
  for (const sp::grid g : {sp::grid{14, 14}, {1, 1}, {2, 9}, {9, 2}, {5, 18}, {23, 3}})
    for (const auto edge : borders)
      for (const sp::index radius : {1, 2})
        for (const sp::index k : {4, 8}) {
          const sp::neighborhood n{.k = k, .radius = radius, .edge = edge};
          for (const sp::index B : {1, 7}) {
            const auto x = troubled_features(B, g.size(), 50, true);
            const auto one = sp::neighbor_topk(x, g, n);
            int other_bits = 0;
            for (int threads = 1; threads <= 4; ++threads) {
              sp::context<sp::cpu> on(threads);
              const auto found = sp::neighbor_topk(on_device(x, &on), g, n);
              for (sp::index i = 0; i < one.index.size(); ++i)
                other_bits += found.index.data()[i] != one.index.data()[i] ||
                              std::bit_cast<std::uint32_t>(found.similarity.data()[i]) !=
                                  std::bit_cast<std::uint32_t>(one.similarity.data()[i]);
            }
            CHECK(other_bits == 0);
          }
        }
}

TEST_CASE("neighbor_topk refuses a k beyond the window and a grid of another size",
          "[ops][neighbor_topk]") {
  const auto x = random_tensor<float>(features(1, 36, 4));
  CHECK_THROWS_WITH(sp::neighbor_topk(x, {6, 6}, {.k = 9}), contains("1..8 for radius 1, found 9"));
  CHECK_THROWS_WITH(sp::neighbor_topk(x, {6, 6}, {.k = 0}), contains("1..8 for radius 1, found 0"));
  CHECK_THROWS_WITH(sp::neighbor_topk(x, {6, 6}, {.k = 25, .radius = 2}),
                    contains("1..24 for radius 2, found 25"));
  CHECK_THROWS_WITH(sp::neighbor_topk(x, {6, 5}, {}), contains("N must be rows * cols"));
  CHECK_THROWS_AS(sp::neighbor_topk(x, {6, 6}, {.radius = 0}), sp::error);
}
