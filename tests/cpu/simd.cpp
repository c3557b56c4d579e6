#include <selfpatch/cpu/simd.hpp>

#include "testing.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

namespace selfpatch {
namespace {

// No wider than the registers: calls with wider vectors would have no fixed form.
template <class T, int Bytes>
using vector_of_at_most = simd<T, Bytes <= vector_bytes ? Bytes : vector_bytes>;

using every_vector = std::tuple<simd<float, 16>, vector_of_at_most<float, 32>, simd<float>, simd<double, 16>,
                                vector_of_at_most<double, 32>, simd<double>>;

template <class V>
V counting(typename V::value_type from = 1) {
  typename V::value_type lanes[V::width];
  for (int i = 0; i < V::width; ++i) lanes[i] = from + typename V::value_type(i);
  return V::load(lanes);
}

template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

TEMPLATE_LIST_TEST_CASE("simd's square root is the library's, to the bit", "[cpu][simd]", every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  for (T x : {T(0), T(-0.0), T(2), T(1e-30), T(3e30), std::numeric_limits<T>::denorm_min(),
              std::numeric_limits<T>::infinity()}) {
    const V root = sqrt(V(x));
    for (int i = 0; i < V::width; ++i) CHECK(root[i] == std::sqrt(x));
  }
  CHECK(std::isnan(sqrt(V(T(-1)))[0]));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("simd loads and stores at any place and touches no more than it was told", "[cpu][simd]",
                        every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  constexpr int W = V::width;
  for (int n = 0; n <= W; ++n) {
    const std::vector<T> memory(std::size_t(n) + 1, T(7));  // no more of it, so that a sanitizer sees a step too far
    const V v = V::load(memory.data() + 1, n, T(-3));
    for (int i = 0; i < W; ++i) CHECK(v[i] == (i < n ? 7 : -3));

    std::vector<T> out(std::size_t(n) + 2, T(-1));
    counting<V>().store(out.data() + 1, n);
    CHECK(out.front() == -1);
    CHECK(out.back() == -1);
    for (int i = 0; i < n; ++i) CHECK(out[std::size_t(i) + 1] == i + 1);
  }
  const V past = V::load(std::array<T, 64>{}.data(), 100, T(1));
  CHECK(sum(past) == 0);
}

TEMPLATE_LIST_TEST_CASE("simd does arithmetic lane by lane", "[cpu][simd]",
                        every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  const V a = counting<V>(2), b = counting<V>(-3);
  V c = a;
  c += b, c *= a, c -= V(1);
  const V chosen = select(a > V(3), a, b), sum_of_all = fma(a, T(2), b);
  for (int i = 0; i < V::width; ++i) {
    const T x = T(2 + i), y = T(i - 3);
    CHECK((a + b)[i] == x + y);
    CHECK((a - b)[i] == x - y);
    CHECK((a * b)[i] == x * y);
    CHECK((b / a)[i] == y / x);
    CHECK((-a)[i] == -x);
    CHECK(c[i] == (x + y) * x - 1);
    CHECK(sum_of_all[i] == x * 2 + y);
    CHECK(chosen[i] == (x > 3 ? x : y));
    CHECK(abs(b)[i] == std::abs(y));
    CHECK(max(a, V(4))[i] == std::max(x, T(4)));
    CHECK(min(b, V(0))[i] == std::min(y, T(0)));
    CHECK((a < V(3))[i] == (x < 3 ? -1 : 0));
    CHECK((a <= V(3))[i] == (x <= 3 ? -1 : 0));
    CHECK((a >= V(3))[i] == (x >= 3 ? -1 : 0));
    CHECK((a == V(3))[i] == (x == 3 ? -1 : 0));
  }
}

TEMPLATE_LIST_TEST_CASE("simd keeps the sign of zero, and the second operand of max and min where one is NaN", "[cpu][simd]",
                        every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  constexpr T nan = not_a_number<T>;
  CHECK(std::signbit(V(T(-0.0))[0]));
  CHECK(std::signbit((-V(T(0)))[V::width - 1]));
  CHECK(!std::signbit(abs(V(T(-0.0)))[0]));
  CHECK(std::isnan(abs(V(-nan))[0]));
  CHECK(max(V(nan), V(T(1)))[0] == 1);
  CHECK(std::isnan(max(V(T(1)), V(nan))[0]));
  CHECK(min(V(nan), V(T(1)))[0] == 1);
  CHECK(std::isnan(min(V(T(1)), V(nan))[0]));
  CHECK(V::from_bits(V(T(-2.5)).bits())[0] == T(-2.5));
}

TEMPLATE_LIST_TEST_CASE("simd sums its lanes in halves, and finds the greatest", "[cpu][simd]",
                        every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  random draws(1, purpose::test);
  for (int round = 0; round < 50; ++round) {
    T lanes[V::width], halves[V::width];
    for (T& x : lanes) x = T(draws.normal());
    const V v = V::load(lanes);
    std::copy(lanes, lanes + V::width, halves);
    for (int half = V::width / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) halves[i] += halves[i + half];
    CHECK(sum(v) == halves[0]);
    CHECK(max(v) == *std::max_element(lanes, lanes + V::width));
  }
}

TEMPLATE_LIST_TEST_CASE("transpose_block turns rows into columns", "[cpu][simd]",
                        every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  V rows[V::width];
  for (int i = 0; i < V::width; ++i) rows[i] = counting<V>(T(100 * i));
  transpose_block(rows);
  for (int i = 0; i < V::width; ++i)
    for (int j = 0; j < V::width; ++j) CHECK(rows[i][j] == T(100 * j + i));
}

TEST_CASE("unroll calls with constants, in order", "[cpu][simd]") {
  std::vector<int> seen;
  unroll<5>([&](auto i) {
    static_assert(i >= 0);
    seen.push_back(i);
  });
  CHECK(seen == std::vector{0, 1, 2, 3, 4});
  unroll<0>([&](auto) { seen.clear(); });
  CHECK(seen.size() == 5);
}

TEMPLATE_LIST_TEST_CASE("simd's sums of many vectors are the sums of each, to the bit", "[cpu][simd]", every_vector) {
  using V = TestType;
  using T = typename V::value_type;
  V r[V::width], before[V::width];
  for (int i = 0; i < V::width; ++i) {
    T lanes[V::width];
    for (int j = 0; j < V::width; ++j) lanes[j] = T(1) / T(1 + i * 7 + j * j);  // which no order sums exactly
    before[i] = r[i] = V::load(lanes);
  }
  const V all = sums(r);
  for (int i = 0; i < V::width; ++i) CHECK(all[i] == sum(before[i]));
}

}  // namespace selfpatch
