#include <selfpatch/autograd/tape.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using vector = sp::shape<3>;
using numbers = sp::tensor<double, vector>;

numbers made(double a, double b, double c) {
  numbers x;
  x.data()[0] = a;
  x.data()[1] = b;
  x.data()[2] = c;
  return x;
}

// y = x w, element by element. Counts what it saves and what runs.
struct product {
  static inline int alive = 0, backwards = 0;

  struct token {  // what is saved; knows how many there are
    token() { ++alive; }
    token(token&&) noexcept { ++alive; }
    token(const token&) = delete;
    ~token() { --alive; }
  };

  template <class X, class W>
  auto forward(const X& x, const W& w) const {
    X y(x.shape(), x.on());
    for (sp::index i = 0; i < x.size(); ++i) y.data()[i] = x.data()[i] * w.data()[i];
    return sp::result{std::move(y), token()};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    ++backwards;
    const auto& [x, w] = in;
    const auto& [dx, dw] = d;
    for (sp::index i = 0; i < dy.size(); ++i) {
      if (dx) dx->data()[i] += dy.data()[i] * w.data()[i];
      if (dw) dw->data()[i] += dy.data()[i] * x.data()[i];
    }
  }
};

auto multiply(const auto& x, const auto& w) { return sp::apply(product{}, x, w); }

}  // namespace

TEST_CASE("an op on tensors computes, on variables it is recorded", "[autograd][tape]") {
  const auto x = made(1, 2, 3), w = made(4, 5, 6);
  const auto y = multiply(x, w);
  static_assert(std::is_same_v<decltype(y), const numbers>);
  CHECK(y.data()[2] == 18);

  sp::tape on;
  const auto z = multiply(on.variable(x.clone()), w);
  CHECK(z.value().data()[2] == 18);
  CHECK(on.size() == 1);
}

TEST_CASE("a variable that feeds two ops gets the sum of their gradients", "[autograd][tape]") {
  sp::tape on;
  const auto x = on.variable(made(1, 2, 3));
  const auto a = made(10, 20, 30), b = made(1, 1, 1);
  const auto y = multiply(multiply(x, a), x);  // a x^2
  on.backward(multiply(y, b));
  for (int i = 0; i < 3; ++i)
    CHECK(x.gradient().data()[i] == 2 * a.data()[i] * x.value().data()[i]);
}

TEST_CASE("backward starts from ones, or from what the gradient was filled with",
          "[autograd][tape]") {
  sp::tape on;
  const auto x = on.variable(made(1, 2, 3)), other = on.variable(made(1, 2, 3));
  const auto w = made(4, 5, 6);
  on.backward(multiply(x, w));
  CHECK(largest_difference(x.gradient(), w) == 0);

  const auto y = multiply(other, w);
  y.gradient().data()[1] = 2;
  on.backward(y);
  CHECK(largest_difference(other.gradient(), made(0, 10, 0)) == 0);
}

TEST_CASE("a parameter adds up gradients of several backward passes until it is told otherwise",
          "[autograd][tape]") {
  sp::parameter<double, vector> w;
  w.learn();
  for (int pass = 1; pass <= 3; ++pass) {
    sp::tape on;
    on.backward(multiply(on.constant(made(1, 2, 3)), w));
    CHECK(largest_difference(w.gradient, made(pass, 2 * pass, 3 * pass)) == 0);
  }
  w.learn();
  CHECK(largest_difference(w.gradient, made(0, 0, 0)) == 0);
}

TEST_CASE("a tensor, a constant and a parameter that does not learn get no gradient",
          "[autograd][tape]") {
  sp::tape on;
  sp::parameter<double, sp::shape<sp::dyn>> w(sp::shape<sp::dyn>{3});
  sp::tensor<double, sp::shape<sp::dyn>> x(sp::shape<sp::dyn>{3});
  const auto c = on.constant(x.clone());
  product::backwards = 0;
  const auto y = multiply(c, w);
  CHECK_FALSE(y.wants_gradient());
  CHECK(on.size() == 0);  // nothing to go back to
  on.backward(y);
  CHECK(product::backwards == 0);
  CHECK_FALSE(c.has_gradient());
  CHECK(w.gradient.empty());
}

TEST_CASE("an op whose result nothing depends on is passed over", "[autograd][tape]") {
  sp::tape on;
  const auto x = on.variable(made(1, 2, 3));
  const auto w = made(4, 5, 6);
  const auto unused = multiply(x, w);
  const auto y = multiply(x, w);
  product::backwards = 0;
  on.backward(y);
  CHECK(product::backwards == 1);
  CHECK(largest_difference(x.gradient(), w) == 0);
}

TEST_CASE("backward frees what ops saved, and clear does without running them",
          "[autograd][tape]") {
  REQUIRE(product::alive == 0);
  sp::tape on;
  const auto x = on.variable(made(1, 2, 3));
  const auto w = made(4, 5, 6);
  const auto y = multiply(multiply(x, w), w);
  CHECK(product::alive == 2);
  on.backward(y);
  CHECK(product::alive == 0);
  CHECK(on.size() == 0);

  const auto z = multiply(x, w);
  CHECK(product::alive == 1);
  product::backwards = 0;
  on.clear();
  CHECK(product::alive == 0);
  CHECK(product::backwards == 0);
}

TEST_CASE("a tape keeps the variables of its ops alive", "[autograd][tape]") {
  sp::tape on;
  const auto x = on.variable(made(1, 2, 3));
  const auto w = made(4, 5, 6);
  const auto y = [&] {
    return multiply(multiply(x, w), w);
  }();  // the one between is gone but for the tape
  on.backward(y);
  CHECK(x.gradient().data()[0] == 16);
}

TEST_CASE("a parameter alone comes onto the tape of what it is used with", "[autograd][tape]") {
  sp::parameter<double, vector> p;
  p.value = made(1, 2, 3);
  p.learn();
  const auto plain = made(0, 0, 0);
  CHECK(&sp::on_tape_of(plain, p) == &p.value);

  sp::tape on;
  const auto x = on.variable(made(0, 0, 0));
  const auto w = made(4, 5, 6);
  on.backward(multiply(sp::on_tape_of(x, p), w));
  CHECK(largest_difference(p.gradient, w) == 0);
}
