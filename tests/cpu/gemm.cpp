#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/cpu/gemm_eigen.hpp>

#include "testing.hpp"

#include <cstring>
#include <thread>
#include <vector>

namespace selfpatch {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// A matrix in rows of `ld`; what lies between the rows is NaN, so that a product that reads it shows.
template <class T>
struct matrix {
  index rows, cols, ld;
  std::vector<T> values;

  matrix(index r, index c, index gap, random& draws) : rows(r), cols(c), ld(c + gap), values(std::size_t(r * ld), T(nan)) {
    for (index i = 0; i < r; ++i)
      for (index j = 0; j < c; ++j) at(i, j) = T(draws.uniform(-1, 1));
  }
  T& at(index i, index j) { return values[std::size_t(i * ld + j)]; }
  T at(index i, index j) const { return values[std::size_t(i * ld + j)]; }
  T* data() { return values.data(); }
  const T* data() const { return values.data(); }
};

template <class T>
struct problem_of {
  transpose ta, tb;
  index M, N, K;
  T alpha, beta;
  matrix<T> a, b, c;

  problem_of(random& draws, int kind, index m, index n, index k, T al, T be, index gap = 0)
      : ta(transpose(kind & 1)), tb(transpose(kind >> 1 & 1)), M(m), N(n), K(k), alpha(al), beta(be),
        a(kind & 1 ? k : m, kind & 1 ? m : k, gap, draws), b(kind & 2 ? n : k, kind & 2 ? k : n, gap, draws),
        c(m, n, gap, draws) {
    if (be == 0)
      for (T& v : c.values) v = T(nan);
  }

  T left(index i, index k) const { return ta == transpose::yes ? a.at(k, i) : a.at(i, k); }
  T right(index k, index j) const { return tb == transpose::yes ? b.at(j, k) : b.at(k, j); }

  template <class... More>
  matrix<T> solve(context<cpu>* on, More... more) const {
    matrix<T> y = c;
    gemm(on, ta, tb, M, N, K, alpha, a.data(), a.ld, b.data(), b.ld, beta, y.data(), y.ld, more...);
    return y;
  }

  // The worst difference to the sum in long double, as a share of what rounding may cost.
  double worst(const matrix<T>& y) const {
    double result = 0;
    for (index i = 0; i < M; ++i)
      for (index j = 0; j < N; ++j) {
        long double sum = 0, size = 0;
        for (index k = 0; k < K; ++k) {
          const long double term = (long double)alpha * left(i, k) * right(k, j);
          sum += term;
          size += std::abs(term);
        }
        const long double old = beta == 0 ? 0 : (long double)beta * c.at(i, j);
        const long double allowed = std::numeric_limits<T>::epsilon() * ((K + 2) * size + 2 * std::abs(old));
        const double share = double(std::abs(sum + old - y.at(i, j)) / std::max(allowed, 1e-300L));
        result = share <= result ? result : share;  // NaN counts as worst
      }
    return result;
  }
};

template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}

template <class T>
bool same_bits(const matrix<T>& x, const matrix<T>& y) {
  return same_bits(x.values, y.values);
}

TEMPLATE_TEST_CASE("gemm is the sum of products for every small shape, transpose and scale", "[cpu][gemm]", float,
                   double) {
  using T = TestType;
  random draws(1, purpose::test);
  context<cpu> two(2);
  const T scales[] = {0, 1, T(-0.75)};
  for (int round = 0; round < 1500; ++round) {
    const problem_of<T> p(draws, round % 4, index(draws.below(41)), index(draws.below(41)), index(draws.below(41)),
                          scales[draws.below(3)], scales[draws.below(3)], index(draws.below(4)));
    const matrix<T> y = p.solve(round % 8 < 4 ? nullptr : &two);
    CAPTURE(round, p.M, p.N, p.K, p.alpha, p.beta);
    REQUIRE(p.worst(y) <= 1);
    for (index i = 0; i < y.rows; ++i)
      for (index j = y.cols; j < y.ld; ++j) REQUIRE(std::isnan(y.values[std::size_t(i * y.ld + j)]));
  }
}

TEMPLATE_TEST_CASE("gemm is the sum of products where shapes cross its blocks", "[cpu][gemm]", float, double) {
  using T = TestType;
  random draws(2, purpose::test);
  context<cpu> two(2);
  const index shapes[][3] = {{241, 67, 300}, {17, 530, 257}, {229, 33, 4500}, {9, 70, 9000}, {1, 700, 64}, {700, 1, 64},
                             {226, 1100, 30}};
  int kind = 0;
  for (const auto& [M, N, K] : shapes) {
    for (int more = 0; more < 2; ++more, ++kind) {
      const problem_of<T> p(draws, kind % 4, M, N, K, T(0.5), T(more), 3);
      CAPTURE(M, N, K, kind);
      CHECK(p.worst(p.solve(&two)) <= 1);
    }
  }
}

TEST_CASE("gemm packs many columns in several passes", "[cpu][gemm]") {
  random draws(3, purpose::test);
  constexpr index K = 4096, N = gemm_detail::sizes<double>::packed_b / K + 40, M = 230;
  const problem_of<double> p(draws, 0, M, N, K, 1, 0);
  const auto y = p.solve(nullptr);
  for (index j = 0; j < N; j += 13) {
    double sum = 0;
    for (index k = 0; k < K; ++k) sum += p.left(M - 1, k) * p.right(k, j);
    REQUIRE(y.at(M - 1, j) == Approx(sum).margin(1e-11));
  }
}

TEMPLATE_TEST_CASE("gemm has the same bits on any number of threads", "[cpu][gemm]", float, double) {
  using T = TestType;
  random draws(4, purpose::test);
  const index shapes[][3] = {{300, 200, 500}, {40, 600, 256}, {196, 196, 64}, {1, 500, 300}, {515, 31, 270}, {36, 64, 36}};
  for (int kind = 0; kind < 4; ++kind)
    for (const auto& [M, N, K] : shapes) {
      const problem_of<T> p(draws, kind, M, N, K, T(0.3), T(0.7));
      const matrix<T> serial = p.solve(nullptr);
      for (int threads = 1; threads <= 4; ++threads) {
        context<cpu> on(threads);
        CAPTURE(M, N, K, kind, threads);
        CHECK(same_bits(serial, p.solve(&on)));
      }
    }
}

TEMPLATE_TEST_CASE("an element of gemm has the same bits in a product of any other rows and columns", "[cpu][gemm]", float,
                   double) {
  using T = TestType;
  random draws(5, purpose::test);
  for (int round = 0; round < 200; ++round) {
    const int kind = round % 4;
    const index M = 1 + index(draws.below(300)), N = 1 + index(draws.below(150)), K = 1 + index(draws.below(700));
    const problem_of<T> p(draws, kind, M, N, K, T(0.3), round % 8 < 4 ? T(0) : T(0.7));
    const matrix<T> whole = p.solve(nullptr);
    const index i = index(draws.below(std::uint64_t(M))), j = index(draws.below(std::uint64_t(N)));
    const index m = 1 + index(draws.below(std::uint64_t(M - i))), n = 1 + index(draws.below(std::uint64_t(N - j)));
    matrix<T> part = p.c;
    gemm<T>(nullptr, p.ta, p.tb, m, n, K, p.alpha, p.a.data() + (kind & 1 ? i : i * p.a.ld), p.a.ld,
            p.b.data() + (kind & 2 ? j * p.b.ld : j), p.b.ld, p.beta, &part.at(i, j), part.ld);
    bool same = true;
    for (index r = i; r < i + m; ++r)
      same = same && std::memcmp(&part.at(r, j), &whole.values[std::size_t(r * whole.ld + j)], std::size_t(n) * sizeof(T)) == 0;
    CAPTURE(kind, M, N, K, i, j, m, n);
    REQUIRE(same);
  }
}

TEST_CASE("gemm called from many threads, and from inside chunks, has the same bits", "[cpu][gemm]") {
  random draws(6, purpose::test);
  context<cpu> on(3);
  const problem_of<float> p(draws, 2, 300, 100, 400, 1, 0);
  const auto expected = p.solve(nullptr);
  std::vector<int> same(24, 0);
  parallel(&on, 12, [&](index c) { same[std::size_t(c)] = same_bits(expected, p.solve(c % 2 ? &on : nullptr)); });
  std::vector<std::thread> threads;
  for (std::size_t t = 12; t < 24; ++t) threads.emplace_back([&, t] { same[t] = same_bits(expected, p.solve(nullptr)); });
  for (auto& t : threads) t.join();
  CHECK(same == std::vector<int>(24, 1));
}

TEST_CASE("gemm with no terms scales the old values, or clears them unread", "[cpu][gemm]") {
  random draws(7, purpose::test);
  for (float beta : {0.0f, 0.5f}) {
    const problem_of<float> p(draws, 0, 20, 40, 0, 1, beta);
    const auto y = p.solve(nullptr);
    for (index i = 0; i < 20; ++i)
      for (index j = 0; j < 40; ++j) REQUIRE(y.at(i, j) == (beta == 0 ? 0 : beta * p.c.at(i, j)));
  }
}

TEST_CASE("a NaN or an infinity in one row and column of gemm stays in that row and column", "[cpu][gemm]") {
  random draws(8, purpose::test);
  for (int kind = 0; kind < 4; ++kind)
    for (const auto& [M, N] : {std::pair<index, index>{33, 45}, {240, 70}}) {
      problem_of<float> p(draws, kind, M, N, 50, 1, 1);
      p.a.values[std::size_t(kind & 1 ? 7 * p.a.ld + 20 : 20 * p.a.ld + 7)] = std::numeric_limits<float>::infinity();
      p.b.values[std::size_t(kind & 2 ? 30 * p.b.ld + 9 : 9 * p.b.ld + 30)] = float(nan);
      const auto y = p.solve(nullptr);
      index wrong = 0;
      for (index i = 0; i < M; ++i)
        for (index j = 0; j < N; ++j) wrong += std::isfinite(y.at(i, j)) == (i == 20 || j == 30);
      CHECK(wrong == 0);
    }
}

TEST_CASE("gemm adds a bias to every row once", "[cpu][gemm]") {
  random draws(9, purpose::test);
  context<cpu> two(2);
  for (const auto& [M, N, K] : {std::array<index, 3>{5, 70, 900}, {300, 45, 20}, {3, 4, 0}}) {
    const problem_of<float> p(draws, 2, M, N, K, 1, 0);
    const matrix<float> bias(1, N, 0, draws);
    auto expected = p.solve(nullptr);
    CHECK(same_bits(expected, p.solve(&two, static_cast<const float*>(nullptr))));
    for (index i = 0; i < M; ++i)
      for (index j = 0; j < N; ++j) expected.at(i, j) += bias.at(0, j);
    CHECK(same_bits(expected, p.solve(&two, bias.data())));
  }
}

TEST_CASE("the epilogue of gemm sees every finished element once", "[cpu][gemm]") {
  struct count_and_negate {
    float* sums;
    int* seen;
    index N;
    void operator()(float* c, index row, index col, index n) const {
      for (index j = 0; j < n; ++j) {
        sums[row * N + col + j] = c[j];
        ++seen[row * N + col + j];
        c[j] = -c[j];
      }
    }
  };
  random draws(10, purpose::test);
  context<cpu> three(3);
  for (const auto& [M, N, K] : {std::array<index, 3>{37, 91, 600}, {400, 77, 300}, {2, 3, 0}}) {
    const problem_of<float> p(draws, 1, M, N, K, 1, 1);
    std::vector<float> sums(std::size_t(M * N));
    std::vector<int> seen(std::size_t(M * N), 0);
    const auto y = p.solve(&three, count_and_negate{sums.data(), seen.data(), N});
    CHECK(seen == std::vector<int>(std::size_t(M * N), 1));
    CHECK(same_bits(sums, p.solve(nullptr).values));
    for (float& s : sums) s = -s;
    CHECK(same_bits(sums, y.values));
  }
}

TEMPLATE_TEST_CASE("gemm and Eigen agree to rounding", "[cpu][gemm]", float, double) {
  using T = TestType;
  random draws(11, purpose::test);
  const index shapes[][3] = {{136, 192, 768}, {300, 65, 129}, {64, 7, 1000}, {1, 1, 1}, {5, 0, 3}, {4, 6, 0}};
  for (int kind = 0; kind < 4; ++kind)
    for (const auto& [M, N, K] : shapes)
      for (T beta : {T(0), T(1), T(0.5)}) {
        const problem_of<T> p(draws, kind, M, N, K, T(2), beta, 2);
        const matrix<T> ours = p.solve(nullptr);
        matrix<T> theirs = p.c;
        gemm_eigen(p.ta, p.tb, M, N, K, p.alpha, p.a.data(), p.a.ld, p.b.data(), p.b.ld, p.beta, theirs.data(), theirs.ld);
        CAPTURE(kind, M, N, K, beta);
        double worst = 0;
        for (index i = 0; i < M; ++i)
          for (index j = 0; j < N; ++j) {
            const double difference = std::abs(double(ours.at(i, j)) - double(theirs.at(i, j)));
            worst = difference <= worst ? worst : difference;
          }
        CHECK(worst <= 20 * std::numeric_limits<T>::epsilon() * (1 + std::sqrt(double(K)) * 3));
      }
}

TEST_CASE("the scratch of a thread is kept, aligned, and grows", "[cpu][gemm]") {
  float* first = gemm_detail::scratch<float, 77>(100);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 0);
  first[99] = 5;
  CHECK(gemm_detail::scratch<float, 77>(50) == first);
  CHECK(gemm_detail::scratch<float, 78>(50) != first);
  float* more = gemm_detail::scratch<float, 77>(100000);
  more[99999] = 1;
  CHECK(gemm_detail::scratch<float, 77>(100) == more);
}

}  // namespace
}  // namespace selfpatch
