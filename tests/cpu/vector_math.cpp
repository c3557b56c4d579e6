#include <selfpatch/cpu/vector_math.hpp>

#include "testing.hpp"

#include <bit>
#include <cstring>
#include <functional>
#include <vector>

namespace selfpatch {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

long double exact_gelu(long double x) { return x * std::erfc(-x / std::sqrt(2.0L)) / 2; }
long double exact_slope(long double x) {
  return std::erfc(-x / std::sqrt(2.0L)) / 2 + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<long double>);
}

/// 200001 values from a to b.
std::vector<float> range(float a, float b) {
  std::vector<float> x(200001);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = a + (b - a) * float(i) / float(x.size() - 1);
  return x;
}

struct errors {
  double relative = 0, absolute = 0;
};

template <class F, class Exact>
errors worst(float a, float b, F f, Exact exact) {
  const auto x = range(a, b);
  std::vector<float> y(x.size(), 0);
  f(x.data(), y.data(), index(x.size()));
  errors e;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double right = exact(x[i]), off = std::abs(y[i] - right);
    e.absolute = double(off) <= e.absolute ? e.absolute : double(off);
    const double share = right == 0 ? (off == 0 ? 0 : 1) : double(off / std::abs(right));
    e.relative = share <= e.relative ? e.relative : share;
  }
  return e;
}

const auto exp_of = [](const float* x, float* y, index n) { vector_math::exp(x, y, n); };
const auto gelu_of = [](const float* x, float* y, index n) { vector_math::gelu(x, y, n); };
const auto slope_of = [](const float* x, float* y, index n) {
  const std::vector<float> ones(std::size_t(n), 1.0f);
  vector_math::gelu_backward(x, ones.data(), y, n);
};

template <class T>
std::vector<T> normals(index n, std::uint64_t seed) {
  random draws(seed, purpose::test);
  std::vector<T> x(static_cast<std::size_t>(n));
  for (T& v : x) v = T(3 * draws.normal());
  return x;
}

template <class T>
using array_function = std::function<void(const T*, T*, index)>;

}  // namespace

TEST_CASE("exp is accurate over all normal results", "[cpu][vector_math]") {
  const auto exact = [](long double x) { return std::exp(x); };
  CHECK(worst(-87.33f, 88.72f, exp_of, exact).relative < 2e-7);
  CHECK(worst(-1, 1, exp_of, exact).relative < 2e-7);
  CHECK(worst(-1e-6f, 1e-6f, exp_of, exact).relative < 1e-7);
}

TEST_CASE("exp ends in zero below, in infinity above, and passes NaN on", "[cpu][vector_math]") {
  const float x[] = {-87.4f, -1000, -infinity, 88.73f, 1000, infinity, nan, -nan, 0, -0.0f, 88.722f, -87.336f};
  float y[12];
  vector_math::exp(x, y, 12);
  for (int i : {0, 1, 2}) CHECK(y[i] == 0);
  for (int i : {3, 4, 5}) CHECK(y[i] == infinity);
  for (int i : {6, 7}) CHECK(std::isnan(y[i]));
  for (int i : {8, 9}) CHECK(y[i] == 1);
  CHECK(y[10] == Approx(std::exp(double(x[10]))).epsilon(1e-6));
  CHECK(y[11] == Approx(std::exp(double(x[11]))).epsilon(1e-6));
  // a NaN with other bits must not become a number either
  const float odd = std::bit_cast<float>(0x7fc12345u);
  vector_math::exp(&odd, y, 1);
  CHECK(std::isnan(y[0]));
}

TEST_CASE("gelu is accurate in its body and relatively in both tails", "[cpu][vector_math]") {
  CHECK(worst(-12.9f, 14, gelu_of, exact_gelu).relative < 1e-6);
  CHECK(worst(-1, 1, gelu_of, exact_gelu).relative < 1e-6);
  CHECK(worst(-1e-3f, 1e-3f, gelu_of, exact_gelu).relative < 1e-6);
  CHECK(worst(-20, -12.9f, gelu_of, exact_gelu).absolute < 1e-35);
  const float x[] = {nan, infinity, 1e30f, -1e30f, 0, 100};
  float y[6];
  vector_math::gelu(x, y, 6);
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == infinity);
  CHECK(y[2] == 1e30f);
  CHECK(y[3] == 0);
  CHECK(y[4] == 0);
  CHECK(y[5] == 100);
}

TEST_CASE("the slope of gelu is accurate, in its lower tail relatively", "[cpu][vector_math]") {
  CHECK(worst(-14, 14, slope_of, exact_slope).absolute < 5e-7);
  CHECK(worst(-12.9f, -2, slope_of, exact_slope).relative < 1e-6);
  const float x[] = {nan, 1e30f, -1e30f, 20, -20};
  float y[5] = {};
  slope_of(x, y, 5);
  CHECK(std::isnan(y[0]));
  for (int i : {1, 3}) CHECK(y[i] == 1);
  for (int i : {2, 4}) CHECK(y[i] == 0);
}

TEST_CASE("in double exp, gelu and its slope are the library's", "[cpu][vector_math]") {
  const auto x = normals<double>(103, 1);
  std::vector<double> y(103), z(103, 0.5);
  vector_math::gelu(x.data(), y.data(), 103);
  for (std::size_t i = 0; i < 103; ++i) CHECK(y[i] == Approx(double(exact_gelu(x[i]))).epsilon(1e-14));
  vector_math::gelu_backward(x.data(), x.data(), z.data(), 103);
  for (std::size_t i = 0; i < 103; ++i)
    CHECK(z[i] == Approx(0.5 + x[i] * double(exact_slope(x[i]))).epsilon(1e-13));
  vector_math::exp(x.data(), y.data(), 103);
  for (std::size_t i = 0; i < 103; ++i) CHECK(y[i] == std::exp(x[i]));
}

TEST_CASE("gelu_backward adds dy times the slope", "[cpu][vector_math]") {
  const auto x = normals<float>(77, 2), dy = normals<float>(77, 3), before = normals<float>(77, 4);
  auto dx = before;
  vector_math::gelu_backward(x.data(), dy.data(), dx.data(), 77);
  for (std::size_t i = 0; i < 77; ++i)
    CHECK(dx[i] == Approx(before[i] + dy[i] * double(exact_slope(x[i]))).margin(1e-5));
}

TEMPLATE_TEST_CASE("an element has the same bits wherever it stands in an array", "[cpu][vector_math]", float, double) {
  using T = TestType;
  const array_function<T> functions[] = {
      [](const T* x, T* y, index n) { vector_math::exp(x, y, n); },
      [](const T* x, T* y, index n) { vector_math::gelu(x, y, n); },
      [](const T* x, T* y, index n) {
        std::fill(y, y + n, T(1));
        vector_math::gelu_backward(x, x, y, n);
      }};
  const auto x = normals<T>(400, 5);
  for (const auto& f : functions) {
    std::vector<T> whole(400), part(400);
    f(x.data(), whole.data(), 400);
    for (index from = 0; from < 20; ++from)
      for (index n = 0; n < 70; ++n) {
        f(x.data() + from, part.data(), n);
        REQUIRE((n == 0 || std::memcmp(part.data(), whole.data() + from, std::size_t(n) * sizeof(T)) == 0));
      }
  }
}

TEMPLATE_TEST_CASE("sums and maxima of rows are right for every length and independent of alignment", "[cpu][vector_math]",
                   float, double) {
  using T = TestType;
  const double tolerance = 30 * std::numeric_limits<T>::epsilon();
  for (index n = 0; n < 150; ++n) {
    const auto x = normals<T>(n, 6), y = normals<T>(n, 7);
    double sum = 0, size = 0, dot = 0, product = 0, most = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < x.size(); ++i) {
      sum += x[i], size += std::abs(x[i]);
      dot += double(x[i]) * y[i], product += std::abs(double(x[i]) * y[i]);
      most = std::max(most, double(x[i]));
    }
    CHECK(std::abs(vector_math::sum(x.data(), n) - sum) <= tolerance * size);
    CHECK(std::abs(vector_math::dot(x.data(), y.data(), n) - dot) <= tolerance * product);
    CHECK(vector_math::max(x.data(), n) == most);
    for (std::size_t shift = 1; shift < 4; ++shift) {
      std::vector<T> moved(x.size() + shift);
      std::copy(x.begin(), x.end(), moved.begin() + std::ptrdiff_t(shift));
      CHECK(vector_math::sum(moved.data() + shift, n) == vector_math::sum(x.data(), n));
      CHECK(vector_math::dot(moved.data() + shift, moved.data() + shift, n) == vector_math::dot(x.data(), x.data(), n));
    }
  }
  const T odd[] = {1, std::numeric_limits<T>::quiet_NaN(), 3};
  CHECK(vector_math::max(odd, 3) == 3);
  CHECK(std::isnan(vector_math::sum(odd, 3)));
}

TEMPLATE_TEST_CASE("softmax and log_sum_exp agree with the formula for every length and scale", "[cpu][vector_math]", float,
                   double) {
  using T = TestType;
  const double tolerance = 100 * std::numeric_limits<T>::epsilon();
  for (index n = 1; n < 100; ++n)
    for (T scale : {T(0), T(0.125), T(1), T(20)}) {
      const auto x = normals<T>(n, 8);
      std::vector<T> y(x.size());
      const double total = double(vector_math::softmax(x.data(), y.data(), n, scale));
      long double sum = 0;
      for (T v : x) sum += std::exp((long double)scale * v);
      CHECK(total == Approx(double(std::log(sum))).epsilon(tolerance).margin(tolerance));
      CHECK(double(vector_math::log_sum_exp(x.data(), n, scale)) == Approx(total).epsilon(tolerance).margin(tolerance));
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i)
        worst = std::max(worst, std::abs(double(y[i]) - double(std::exp((long double)scale * x[i]) / sum)));
      CHECK(worst < tolerance);
      auto z = x;  // in place
      vector_math::softmax(z.data(), z.data(), n, scale);
      CHECK(z == y);
    }
}

TEST_CASE("softmax stands great values, gives minus infinity no share, and passes NaN on", "[cpu][vector_math]") {
  float x[] = {1e4f, 1e4f, -infinity, -1e4f, 9e3f};
  float y[5];
  CHECK(vector_math::softmax(x, y, 5, 1.0f) == Approx(1e4 + std::log(2.0)));
  CHECK(y[0] == 0.5f);
  CHECK(y[2] == 0);
  CHECK(y[3] == 0);
  x[4] = nan;
  CHECK(std::isnan(vector_math::softmax(x, y, 5, 1.0f)));
  for (float v : y) CHECK(std::isnan(v));
}

TEST_CASE("exp_sum gives back the sum of what it writes", "[cpu][vector_math]") {
  for (index n = 0; n < 70; ++n) {
    const auto x = normals<float>(n, 9);
    std::vector<float> y(x.size());
    const float sum = vector_math::exp_sum(x.data(), y.data(), n, 0.5f, 1.25f);
    double expected = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(y[i] == Approx(std::exp(0.5 * x[i] - 1.25)).epsilon(1e-5));
      expected += y[i];
    }
    CHECK(sum == Approx(expected).epsilon(1e-5));
  }
}

}  // namespace selfpatch
