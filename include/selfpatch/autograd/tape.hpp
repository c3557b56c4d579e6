// tape: reverse-mode differentiation. An op called on variables is recorded, called on tensors it
// only computes.
//
//   tape on;
//   auto x = on.variable(std::move(images));
//   auto y = linear(x, weight, bias);   // weight, bias: parameters, whose gradients add up
//   on.backward(y);                     // weight.gradient, bias.gradient, x.gradient()
//
// There is no global mode. Backward adds: a tensor that feeds two ops gets the sum. `apply` is the
// only place where autograd meets an op:
//
//   op.forward(inputs...)                      -> result{value, saved}
//   op.backward(dy, saved, inputs, gradients)     gradients: pointers, null where none is wanted
//
// An op may say `static constexpr bool writes_first[] = {true, false, ...}`, one for each input.
// Where it is true the op gets a destination in place of the pointer: if it is the first to reach
// that gradient it writes all of it, which saves zeros being written and read.
//
// The backward pass frees what an op saved as soon as it has run.
#pragma once

#include <selfpatch/core/tensor.hpp>

#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace selfpatch {

/// What an op hands back: its value, and what its backward wants to see again.
template <class Value, class Saved = std::tuple<>>
struct result {
  Value value;
  Saved saved{};
};
template <class V>
result(V) -> result<V>;
template <class V, class S>
result(V, S) -> result<V, S>;

/// A tensor that is trained: its value and, in a network that learns, its gradient.
template <class T, class Shape, class Device = cpu>
struct parameter {
  using tensor_type = tensor<T, Shape, Device>;
  using value_type = T;
  using shape_type = Shape;
  using device_type = Device;

  tensor_type value;
  mutable tensor_type
      gradient;  ///< empty unless it learns; not part of a model's value: a const model collects it
  bool learns = false;  ///< backward adds to `gradient`

  parameter() = default;
  explicit parameter(Shape s, context<Device>* on = nullptr) : value(s, on) {}

  void learn(bool yes = true) {
    learns = yes;
    gradient = yes ? tensor_type(value.shape(), value.on()) : tensor_type();
  }
};

class tape;

/// Where an op's backward pass puts a gradient. Null: nobody wants it.
template <class X>
struct destination {
  X* to = nullptr;
  bool first = false;  ///< *to holds nothing yet: write every element; else add

  explicit operator bool() const { return to; }
  X* operator->() const { return to; }
};

template <class X>
class variable {
 public:
  using tensor_type = X;
  using value_type = value_of_t<X>;
  using shape_type = shape_of<X>;
  using device_type = device_of<X>;

  variable(X value, tape* on, bool wants_gradient = true)
      : state_(std::make_shared<state>(std::move(value))),
        on_(on),
        wants_gradient_(wants_gradient) {}

  const X& value() const { return state_->value; }
  const auto& shape() const { return value().shape(); }
  index extent(index axis) const { return value().extent(axis); }

  /// Zeros until a backward pass adds to it.
  X& gradient() const {
    if (!state_->gradient) state_->gradient.emplace(value().shape(), value().on());
    return *state_->gradient;
  }
  bool has_gradient() const { return state_->gradient.has_value(); }
  /// The gradient for one who writes all of it where he is the first.
  destination<X> claim_gradient() const {
    const bool first = !state_->gradient;
    if (first) state_->gradient.emplace(value().shape(), uninitialized, value().on());
    return {&*state_->gradient, first};
  }
  bool wants_gradient() const { return wants_gradient_; }
  tape* recorded_on() const { return on_; }

 private:
  struct state {
    X value;
    std::optional<X> gradient;
    explicit state(X v) : value(std::move(v)) {}
  };
  std::shared_ptr<state> state_;
  tape* on_;
  bool wants_gradient_;
};

class tape {
 public:
  tape() = default;
  tape(const tape&) = delete;
  tape& operator=(const tape&) = delete;

  /// A tensor to differentiate by.
  template <class X>
  auto variable(X value) {
    return selfpatch::variable<X>(std::move(value), this);
  }

  /// A tensor whose gradient nobody asks for, images for example: ops on it are recorded for their
  /// parameters.
  template <class X>
  auto constant(X value) {
    return selfpatch::variable<X>(std::move(value), this, false);
  }

  /// Adds d(seed . y)/dx to the gradient of everything y depends on and clears the tape. The seed
  /// is 1 for every element of y unless y's gradient was filled before.
  template <class X>
  void backward(const selfpatch::variable<X>& y) {
    if (!y.has_gradient())
      for (auto& g : y.gradient().values()) g = 1;
    while (!nodes_.empty()) {
      nodes_.back().run();
      nodes_.pop_back();
    }
  }

  index size() const { return index(nodes_.size()); }
  void clear() { nodes_.clear(); }

  /// Called by apply: f() adds to the gradients of an op's inputs.
  template <class F>
  void record(F f) {
    nodes_.push_back(node(std::move(f)));
  }

 private:
  class node {  // a call with the type erased; std::function would demand that what an op saves can
                // be copied
   public:
    template <class F>
    explicit node(F f)
        : body_(new F(std::move(f)), [](void* p) { delete static_cast<F*>(p); }),
          run_([](void* p) { (*static_cast<F*>(p))(); }) {}
    void run() { run_(body_.get()); }

   private:
    std::unique_ptr<void, void (*)(void*)> body_;
    void (*run_)(void*);
  };
  std::vector<node> nodes_;
};

// What an op may be given: a tensor (a constant), a parameter, or a variable. Tensors and
// parameters must outlive the backward pass; variables are kept alive by it.
namespace detail {

template <class T, class S, class D>
const tensor<T, S, D>& value(const tensor<T, S, D>& x) {
  return x;
}
template <class T, class S, class D>
const tensor<T, S, D>& value(const parameter<T, S, D>& x) {
  return x.value;
}
template <class X>
const X& value(const variable<X>& x) {
  return x.value();
}

template <class T, class S, class D>
bool wants_gradient(const tensor<T, S, D>&) {
  return false;
}
template <class T, class S, class D>
bool wants_gradient(const parameter<T, S, D>& x) {
  return x.learns;
}
template <class X>
bool wants_gradient(const variable<X>& x) {
  return x.wants_gradient();
}

template <class T, class S, class D>
tensor<T, S, D>* gradient(const tensor<T, S, D>&) {
  return nullptr;
}
template <class T, class S, class D>
tensor<T, S, D>* gradient(const parameter<T, S, D>& x) {
  return x.learns ? &x.gradient : nullptr;
}
template <class X>
X* gradient(const variable<X>& x) {
  return x.wants_gradient() ? &x.gradient() : nullptr;
}

template <class X>
auto claim(const X& x) {
  auto* to = gradient(x);
  return destination<std::remove_pointer_t<decltype(to)>>{to};
}
template <class X>
auto claim(const variable<X>& x) {
  return x.wants_gradient() ? x.claim_gradient() : destination<X>{};
}
template <class Op, std::size_t Input, class X>
auto destination_for(const X& x) {
  if constexpr (requires { requires Op::writes_first[Input]; })
    return claim(x);
  else
    return gradient(x);
}

template <class X>
tape* tape_of(const X&) {
  return nullptr;
}
template <class X>
tape* tape_of(const variable<X>& x) {
  return x.recorded_on();
}

// Held by the tape: variables by handle, everything else by address.
template <class X>
struct held {
  const X* x;
  explicit held(const X& of) : x(&of) {}
  const X& get() const { return *x; }
};
template <class X>
struct held<variable<X>> {
  variable<X> x;
  explicit held(const variable<X>& of) : x(of) {}
  const variable<X>& get() const { return x; }
};

template <class X>
inline constexpr bool is_variable = false;
template <class X>
inline constexpr bool is_variable<variable<X>> = true;

}  // namespace detail

namespace detail {

/// What watches the computation an input belongs to.
template <class X>
profile* watching(const X& x) {
  return x.on() ? x.on()->watching() : nullptr;
}

/// Floating point operations of an op that counts them.
template <class Op, class... X>
double flops(const Op& op, const X&... x) {
  if constexpr (requires { op.flops(x...); })
    return op.flops(x...);
  else
    return 0;
}
/// Of its backward pass: each product has two factors, unless the op says otherwise.
template <class Op, class... X>
double backward_flops(const Op& op, const X&... x) {
  if constexpr (requires { op.backward_flops(x...); })
    return op.backward_flops(x...);
  else
    return 2 * flops(op, x...);
}

template <class Op>
std::string_view backward_name() {
  static const std::string name = std::string(short_name<Op>()) + " backward";
  return name;
}

template <class Op, class First, class... X>
auto timed_forward(const Op& op, const First& first, const X&... x) {
  return timed(watching(first), short_name<Op>(), flops(op, first, x...),
               [&] { return op.forward(first, x...); });
}

}  // namespace detail

/// The tensor behind a tensor, parameter or variable.
template <class X>
const auto& value_of(const X& x) {
  return detail::value(x);
}

template <class Op, class... X>
auto apply(const Op& op, const X&... x) {
  if constexpr (!(detail::is_variable<X> || ...)) {
    return std::move(detail::timed_forward(op, value_of(x)...).value);
  } else {
    auto [y, saved] = detail::timed_forward(op, value_of(x)...);
    tape* on = nullptr;
    ((on = on ? on : detail::tape_of(x)), ...);
    const bool wanted = (detail::wants_gradient(x) || ...);
    variable recorded(std::move(y), on, wanted);
    if (wanted)
      on->record(
          [op, recorded, saved = std::move(saved), inputs = std::tuple(detail::held<X>(x)...)] {
            if (!recorded.has_gradient()) return;  // nothing downstream depends on it
            [&]<std::size_t... I>(std::index_sequence<I...>) {
              timed(detail::watching(recorded.value()), detail::backward_name<Op>(),
                    detail::backward_flops(op, value_of(std::get<I>(inputs).get())...), [&] {
                      op.backward(std::as_const(recorded.gradient()), saved,
                                  std::tie(value_of(std::get<I>(inputs).get())...),
                                  std::tuple{detail::destination_for<Op, I>(
                                      std::get<I>(inputs).get())...});  // braces: in order
                    });
            }
            (std::index_sequence_for<X...>());
          });
    return recorded;
  }
}

/// A parameter as an input of what x is an input of: on x's tape, if x is on one. For functions of
/// parameters alone.
template <class X, class T, class S, class D>
decltype(auto) on_tape_of(const X& x, const parameter<T, S, D>& p) {
  if constexpr (detail::is_variable<X>) {
    variable v(p.value.clone(), x.recorded_on(), p.learns);
    if (p.learns)
      x.recorded_on()->record([v, &p] {
        if (!v.has_gradient()) return;
        for (index i = 0; i < p.gradient.size(); ++i)
          p.gradient.data()[i] += v.gradient().data()[i];
      });
    return v;
  } else {
    return (p.value);
  }
}

}  // namespace selfpatch
