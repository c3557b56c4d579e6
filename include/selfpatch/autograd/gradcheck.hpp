// gradcheck: the backward of an op against central differences of its forward.
//
//   gradcheck([](auto& x, auto& w) { return linear(x, w); }, x, w) < 1e-7
//
// With a fixed random direction u and L = sum u * f(x...), every element of every input is moved by
// +-h, and (L(x + h) - L(x - h)) / 2h is compared with the gradient of L. In double, h = 1e-6
// leaves errors near 1e-9.
#pragma once

#include <selfpatch/autograd/tape.hpp>
#include <selfpatch/core/random.hpp>

#include <algorithm>
#include <cmath>

namespace selfpatch {

/// The largest difference between backward and central differences, relative to the largest
/// gradient of that input (and at least to 1). `f` takes one tensor or variable per input and
/// returns one of either.
template <class F, class... X>
double gradcheck(const F& f, const X&... inputs) {
  static_assert((std::is_same_v<value_of_t<X>, double> && ...),
                "gradcheck(f, inputs...): inputs are tensors of double");
  constexpr double h = 1e-6;

  tape on;
  std::tuple variables{on.variable(inputs.clone())...};
  auto y = std::apply([&](auto&... x) { return f(x...); }, variables);
  random direction(0, purpose::test);
  for (double& g : y.gradient().values()) g = direction.normal();
  const auto u = y.gradient().clone();
  on.backward(y);

  std::tuple moved{inputs.clone()...};
  const auto loss = [&] {
    const auto value = std::apply([&](auto&... x) { return f(std::as_const(x)...); }, moved);
    double sum = 0;
    for (index i = 0; i < u.size(); ++i) sum += u.data()[i] * value.data()[i];
    return sum;
  };

  double worst = 0;
  const auto check = [&](auto& x, const auto& with_gradient) {
    const auto& gradient = with_gradient.gradient();
    double scale = 1, difference = 0;
    for (double g : gradient.values()) scale = std::max(scale, std::abs(g));
    for (index i = 0; i < x.size(); ++i) {
      double& at = x.data()[i];
      const double was = at;
      at = was + h;
      const double up = loss();
      at = was - h;
      const double down = loss();
      at = was;
      const double error = std::abs((up - down) / (2 * h) - gradient.data()[i]);
      difference =
          std::isnan(difference) || error <= difference ? difference : error;  // NaN is the worst
    }
    worst = std::isnan(worst) || difference / scale <= worst ? worst : difference / scale;
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (check(std::get<I>(moved), std::get<I>(variables)), ...);
  }
  (std::index_sequence_for<X...>());
  return worst;
}

}  // namespace selfpatch
