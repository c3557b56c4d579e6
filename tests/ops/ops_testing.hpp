// ops_testing: one op on several devices and thread counts, compared in its value and all its
// gradients.
//
//   disagreement(f, x, w) < 1e-6     // cpu against reference, relative to each tensor's largest
//   same_bits(f, x, w)               // cpu with 1, 2, 3, 4 threads
//   on_device<reference>(x)          // a copy
#pragma once

#include <selfpatch/autograd/gradcheck.hpp>
#include <selfpatch/cpu/cpu.hpp>

#include "testing.hpp"

#include <bit>
#include <vector>

namespace sp = selfpatch;

template <class D, class T, class S, class From>
auto on_device(const sp::tensor<T, S, From>& x, sp::context<D>* on = nullptr) {
  sp::tensor<T, S, D> y(x.shape(), on);
  std::copy_n(x.data(), x.size(), y.data());
  return y;
}

/// The value of f(x...) and its gradients for a fixed random gradient of the value, one list each.
template <class D, class F, class... X>
std::vector<std::vector<double>> value_and_gradients(const F& f, sp::context<D>* on,
                                                     const X&... x) {
  sp::tape tape;
  std::tuple inputs{tape.variable(on_device<D>(x, on))...};
  const auto y = std::apply([&](const auto&... in) { return f(in...); }, inputs);
  sp::random draws(7, sp::purpose::test);
  for (auto& g : y.gradient().values()) g = sp::value_of_t<decltype(y)>(draws.normal());
  tape.backward(y);
  std::vector<std::vector<double>> all;
  const auto keep = [&](const auto& t) { all.emplace_back(t.values().begin(), t.values().end()); };
  keep(y.value());
  std::apply([&](const auto&... in) { (keep(in.gradient()), ...); }, inputs);
  return all;
}

/// max |a - b| / max |b|; two NaN or equal infinities do not differ, anything else that is not
/// finite does.
inline double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0, scale = 1e-30;
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double d = std::abs(a[i] - b[i]);
    most = std::max(most, std::isnan(d) ? std::numeric_limits<double>::infinity() : d);
  }
  for (const double x : b)
    if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
  return most / scale;
}

template <class F, class... X>
double disagreement(const F& f, const X&... x) {
  const auto fast = value_and_gradients<sp::cpu>(f, nullptr, x...);
  const auto plain = value_and_gradients<sp::reference>(f, nullptr, x...);
  double worst = 0;
  for (std::size_t i = 0; i < plain.size(); ++i)
    worst = std::max(worst, relative_difference(fast[i], plain[i]));
  return worst;
}

/// Whether f adds to the gradient of x where another op has been before: that of f(x) + f(x) is twice
/// that of f(x).
template <class D, class F, class X>
bool adds_to_gradients(const F& f, const X& x) {
  const auto twice = [&](const auto& in) { return sp::add(f(in), f(in)); };
  auto expected = value_and_gradients<D>(f, nullptr, x)[1];
  for (double& g : expected) g *= 2;
  return relative_difference(value_and_gradients<D>(twice, nullptr, x)[1], expected) < 1e-12;
}

template <class F, class... X>
bool same_bits(const F& f, const X&... x) {
  const auto bits = [](const std::vector<std::vector<double>>& lists) {
    std::vector<std::uint64_t> all;
    for (const auto& list : lists)
      for (const double v : list) all.push_back(std::bit_cast<std::uint64_t>(v));
    return all;
  };
  const auto one = bits(value_and_gradients<sp::cpu>(f, nullptr, x...));
  for (int threads = 1; threads <= 4; ++threads) {
    sp::context<sp::cpu> on(threads);
    if (bits(value_and_gradients(f, &on, x...)) != one) return false;
  }
  return true;
}

/// Random numbers with some rows that invite trouble: zeros, huge, tiny, all equal.
template <class T, class Shape>
auto adversarial_tensor(Shape s, std::uint64_t seed = 0) {
  auto x = random_tensor<T>(s, seed);
  const auto r = rows(x);
  for (sp::index i = 0; i < r.rows; ++i)
    for (sp::index d = 0; d < r.cols; ++d) {
      T& v = r.row(i)[d];
      if (i % 7 == 1) v = 0;
      if (i % 7 == 2) v *= T(1e15);
      if (i % 7 == 3) v *= T(1e-15);
      if (i % 7 == 4) v = T(1.5);
    }
  return x;
}
