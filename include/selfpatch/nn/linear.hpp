// nn::linear: the parameters of y = x w^T + bias.  weight [N, K]  bias [N]
#pragma once

#include <selfpatch/nn/module.hpp>
#include <selfpatch/ops/linear.hpp>

namespace selfpatch::nn {

/// K to N features; either may be dyn and is then given when made.
template <class T, class D, index K, index N>
struct linear {
  parameter<T, shape<N, K>, D> weight;
  parameter<T, shape<N>, D> bias;

  explicit linear(index k = K, index n = N, context<D>* on = nullptr)
      : weight(shape<N, K>::from({n, k}), on), bias(shape<N>::from({n}), on) {}

  auto operator()(const auto& x) const { return selfpatch::linear(x, weight, bias); }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    f(at + "weight", self.weight);
    f(at + "bias", self.bias);
  }
};

}  // namespace selfpatch::nn
