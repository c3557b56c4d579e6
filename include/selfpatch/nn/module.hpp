// module: one list per module gives its names, parameters, copies and files.
//
// A module is a struct with
//
//   template <class Self, class F> static void visit(Self& self, const std::string& at, const F& f)
//
// that calls f(name, parameter) for its own parameters and visit for its parts, in the order of the
// published checkpoints. `at` is the prefix, "" or "backbone.".
#pragma once

#include <selfpatch/autograd/tape.hpp>

#include <string>
#include <vector>

namespace selfpatch {

/// f(name, parameter) for every parameter of a module.
template <class Module, class F>
void for_each_parameter(Module& m, const F& f, const std::string& prefix = "") {
  std::remove_const_t<Module>::visit(m, prefix, f);
}

/// A parameter with its shape forgotten: what optimizers and files see. Borrowed from the module.
template <class T, class Device>
struct named_parameter {
  std::string name;
  std::vector<index> shape;
  T* value;
  T* gradient;  ///< null where the parameter does not learn
  index size;
  context<Device>* on;

  /// Weight decay applies to everything with two dimensions or more, position tables and tokens
  /// included.
  bool decays() const { return shape.size() >= 2 && !name.ends_with(".bias"); }
  /// The layers that stay as they are in the first epochs.
  bool is_last_layer() const { return name.find("last_layer") != std::string::npos; }
};

template <class T, class Device, class Module>
std::vector<named_parameter<T, Device>> parameters(Module& m, const std::string& prefix = "") {
  std::vector<named_parameter<T, Device>> all;
  for_each_parameter(
      m,
      [&](const std::string& name, auto& p) {
        const auto extents = p.value.shape().extents();
        all.push_back({name,
                       {extents.begin(), extents.end()},
                       p.value.data(),
                       p.learns ? p.gradient.data() : nullptr,
                       p.value.size(),
                       p.value.on()});
      },
      prefix);
  return all;
}

/// Every parameter learns, but those whose length is fixed (see projection_head).
template <class Module>
void learn(Module& m) {
  for_each_parameter(m, [](const std::string&, auto& p) { p.learn(); });
}

template <class Module>
void zero_gradients(Module& m) {
  for_each_parameter(m, [](const std::string&, auto& p) {
    using D = device_of<decltype(p)>;
    if (p.learns) memory<D>::zero(p.gradient.data(), p.gradient.bytes());
  });
}

/// Values of one module into another of the same configuration.
template <class Module>
void copy_parameters(const Module& from, Module& to) {
  std::vector<const void*> values;
  for_each_parameter(from, [&](const std::string&, auto& p) { values.push_back(p.value.data()); });
  std::size_t i = 0;
  for_each_parameter(to, [&](const std::string&, auto& p) {
    memory<device_of<decltype(p)>>::copy(p.value.data(), values[i++], p.value.bytes());
  });
}

}  // namespace selfpatch
