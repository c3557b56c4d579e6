#include <selfpatch/autograd/gradcheck.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using vector = sp::shape<sp::dyn>;

// y = x^3, with a backward that is wrong by a factor, in one element, or not a number.
enum class mistake { none, factor, one_element, overwrites, not_a_number };

struct cube {
  mistake made = mistake::none;

  template <class X>
  auto forward(const X& x) const {
    X y(x.shape(), x.on());
    for (sp::index i = 0; i < x.size(); ++i) y.data()[i] = x.data()[i] * x.data()[i] * x.data()[i];
    return sp::result{std::move(y)};
  }
  void backward(const auto& dy, const auto&, const auto& in, const auto& d) const {
    const auto& [x] = in;
    const auto& [dx] = d;
    for (sp::index i = 0; i < dy.size(); ++i) {
      double g = 3 * x.data()[i] * x.data()[i] * dy.data()[i];
      if (made == mistake::factor) g *= 1.001;
      if (made == mistake::one_element && i == dy.size() - 1) g += 0.01;
      if (made == mistake::not_a_number && i == 0) g = std::nan("");
      if (made == mistake::overwrites)
        dx->data()[i] = g;
      else
        dx->data()[i] += g;
    }
  }
};

struct sum {
  auto forward(const auto& x, const auto& y) const {
    auto z = x.clone();
    for (sp::index i = 0; i < z.size(); ++i) z.data()[i] += y.data()[i];
    return sp::result{std::move(z)};
  }
  void backward(const auto& dz, const auto&, const auto&, const auto& d) const {
    for (sp::index i = 0; i < dz.size(); ++i) {
      std::get<0>(d)->data()[i] += dz.data()[i];
      std::get<1>(d)->data()[i] += dz.data()[i];
    }
  }
};

double checked(mistake m) {
  return sp::gradcheck([m](const auto& x) { return sp::apply(cube{m}, x); },
                       random_tensor<double>(vector(6)));
}

}  // namespace

TEST_CASE("gradcheck finds a right backward right", "[autograd][gradcheck]") {
  CHECK(checked(mistake::none) < 1e-8);
}

TEST_CASE(
    "gradcheck catches a backward that is off by a thousandth, in one element, or not a number",
    "[autograd][gradcheck]") {
  CHECK(checked(mistake::factor) > 1e-4);
  CHECK(checked(mistake::one_element) > 1e-4);
  CHECK_FALSE(checked(mistake::not_a_number) < 1e-7);
}

TEST_CASE(
    "gradcheck catches a backward that overwrites instead of adding, where a tensor is used twice",
    "[autograd][gradcheck]") {
  const auto twice = [](mistake m) {
    return sp::gradcheck([m](const auto& x) { return sp::apply(sum{}, x, sp::apply(cube{m}, x)); },
                         random_tensor<double>(vector(6)));
  };
  CHECK(twice(mistake::none) < 1e-8);
  CHECK(twice(mistake::overwrites) > 1e-2);
}
