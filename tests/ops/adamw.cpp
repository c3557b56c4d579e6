#include <selfpatch/ops/adamw.hpp>

#include "ops_testing.hpp"

namespace {

using vector = sp::shape<sp::dyn>;

template <class T, class D = sp::cpu>
struct state {
  sp::tensor<T, vector, D> p, g, m, v;

  explicit state(sp::index n, sp::context<D>* on = nullptr)
      : p(on_device<D>(random_tensor<T>(vector(n), 1), on)),
        g(on_device<D>(random_tensor<T>(vector(n), 2), on)),
        m(vector(n), on),
        v(vector(n), on) {}
  void step(const sp::op::adamw& o, sp::index n) { sp::adamw(o, n, p, g, m, v); }
};

}  // namespace

TEST_CASE("adamw's first step moves every element by lr against the sign of its gradient",
          "[ops][adamw]") {
  state<double> s(20);
  const auto before = s.p.clone();
  s.step({.lr = 0.01, .weight_decay = 0}, 1);
  for (sp::index i = 0; i < 20; ++i)
    CHECK(s.p.data()[i] - before.data()[i] ==
          Approx(s.g.data()[i] > 0 ? -0.01 : 0.01).epsilon(1e-6));
}

TEST_CASE("adamw shrinks what has no gradient by lr times weight decay alone", "[ops][adamw]") {
  state<double> s(20);
  for (double& g : s.g.values()) g = 0;
  const auto before = s.p.clone();
  s.step({.lr = 0.01, .weight_decay = 0.3}, 1);
  for (sp::index i = 0; i < 20; ++i)
    CHECK(s.p.data()[i] == Approx(before.data()[i] * 0.997).epsilon(1e-14));
}

TEST_CASE("adamw clips the gradient before it enters the moments", "[ops][adamw]") {
  state<double> s(5), t(5);
  for (double& g : t.g.values()) g *= 0.25;
  s.step({.lr = 0.01, .weight_decay = 0.1, .clip = 0.25}, 1);
  t.step({.lr = 0.01, .weight_decay = 0.1}, 1);
  CHECK(largest_difference(s.p, t.p) < 1e-16);
  CHECK(largest_difference(s.m, t.m) < 1e-16);
  CHECK(largest_difference(s.v, t.v) < 1e-16);
}

TEST_CASE("adamw follows its formula over steps that begin late", "[ops][adamw]") {
  state<double> s(1);
  double p = s.p.data()[0], m = 0, v = 0;
  const double g = s.g.data()[0], lr = 0.02, decay = 0.1;
  for (int n = 1; n <= 5; ++n) {
    s.step({.lr = lr, .weight_decay = decay}, n);
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    p = p * (1 - lr * decay) -
        lr / (1 - std::pow(0.9, n)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, n)) + 1e-8);
    CHECK(s.p.data()[0] == Approx(p).epsilon(1e-14));
  }
}

TEST_CASE("adamw on the cpu agrees with the reference, with the same bits on any number of threads",
          "[ops][adamw][parallel]") {
  state<float, sp::reference> plain(200000);
  state<float> one(200000);
  for (int n = 1; n <= 3; ++n) {
    plain.step({.lr = 0.01, .weight_decay = 0.1}, n);
    one.step({.lr = 0.01, .weight_decay = 0.1}, n);
  }
  CHECK(largest_difference(one.p, plain.p) < 2e-6);  // three steps, each within an ulp of a 4
  for (int threads = 1; threads <= 4; ++threads) {
    sp::context<sp::cpu> on(threads);
    state<float> s(200000, &on);
    for (int n = 1; n <= 3; ++n) s.step({.lr = 0.01, .weight_decay = 0.1}, n);
    CHECK(largest_difference(s.p, one.p) == 0);
    CHECK(largest_difference(s.m, one.m) == 0);
    CHECK(largest_difference(s.v, one.v) == 0);
  }
}
