// parity_operation: one operation of ops.safetensors: what it is given, and what it must make of
// it.
//
//   OP/x, OP/weight, ...              inputs and parameters ('_' for '.')
//   OP/output, OP/upstream            the result, and its gradient
//   OP/grad.x, OP/grad.weight, ...    the gradients of inputs and parameters
#pragma once

#include <selfpatch/nn/module.hpp>

#include "parity_compare.hpp"

#include <algorithm>
#include <set>

namespace parity {

/// One operation of the file: reads what it is given, compares what it makes.
template <class T>
class operation {
 public:
  operation(const safetensors_file& file, std::string folder, std::string name, report& to,
            std::set<std::string>& used)
      : file_(file), folder_(std::move(folder)), name_(std::move(name)), to_(to), used_(used) {}

  const std::string& name() const { return name_; }

  template <index... E>
  auto input(const std::string& key) {
    return tensor_of<T, E...>(file_, use(key));
  }
  template <index... E>
  auto indices(const std::string& key) {
    return tensor_of<std::int32_t, E...>(file_, use(key));
  }
  /// A tensor of another operation, by its full name.
  template <index... E>
  auto shared(const std::string& full) {
    used_.insert(full);
    return tensor_of<T, E...>(file_, full);
  }
  std::vector<T> values(const std::string& key) { return values_of<T>(file_, use(key)); }
  bool has(const std::string& key) const { return file_.find(name_ + "/" + key); }
  /// Every parameter of a module, which then learns.
  template <class Module>
  void load(Module& m) {
    selfpatch::for_each_parameter(m, [&](const std::string& parameter, auto& p) {
      file_.read(use(underscored(parameter)), p.value);
      p.learn();
    });
  }

  /// Compares y with the recorded output and goes back from the recorded gradient of it.
  template <class Y>
  void output_and_backward(selfpatch::tape& on, const Y& y) {
    compare("output", y.value());
    const auto upstream = values_of<T>(file_, use("upstream"));
    selfpatch::same_extent(index(upstream.size()), y.value().size(),
                           "parity: upstream has the shape of output");
    std::copy(upstream.begin(), upstream.end(), y.gradient().data());
    on.backward(y);
  }
  void gradient(const std::string& key, const auto& g) { compare("grad." + key, g); }
  template <class Module>
  void gradients(const Module& m) {
    double most = 0;
    selfpatch::for_each_parameter(m, [&](const std::string& parameter, auto&) {
      most = std::max(most,
                      largest_of(values_of<double>(file_, use("grad." + underscored(parameter)))));
    });
    selfpatch::for_each_parameter(m, [&](const std::string& parameter, auto& p) {
      // the gradient of a key's bias is zero in theory; what remains of it is the rounding of the
      // others
      const double least = parameter.ends_with("attn.k.bias") ? most : 0;
      compare("grad." + underscored(parameter), p.gradient, least);
    });
  }

  void compare(const std::string& key, const auto& found, double at_least = 0) {
    const auto expected = values_of<double>(file_, use(key));
    const double tolerance = rounding_allowed<T>(std::max(largest_of(expected), at_least));
    compare_values(to_, row(key), std::span<const T>(found.data(), found.size()), expected,
                   tolerance);
  }
  /// The same with expected values that follow from recorded ones.
  void compare_with(const std::string& key, const auto& found, std::span<const double> expected) {
    compare_values(to_, row(key), std::span<const T>(found.data(), found.size()), expected,
                   rounding_allowed<T>(largest_of(expected)));
  }
  void exact(const std::string& key, std::size_t differing, std::size_t total) {
    to_.exact(row(key), differing, total);
  }

 private:
  std::string row(const std::string& key) const { return folder_ + "/" + name_ + "/" + key; }
  std::string use(const std::string& key) {
    std::string full = name_ + "/" + key;
    used_.insert(full);
    return full;
  }
  static std::string underscored(std::string s) {
    std::replace(s.begin(), s.end(), '.', '_');
    return s;
  }

  const safetensors_file& file_;
  std::string folder_, name_;
  report& to_;
  std::set<std::string>& used_;
};

}  // namespace parity
