// nn::layer_norm: gain and bias of a layer norm over W features, eps 1e-6.  weight [W]  bias [W]
#pragma once

#include <selfpatch/nn/module.hpp>
#include <selfpatch/ops/layer_norm.hpp>

namespace selfpatch::nn {

template <class T, class D, index W>
struct layer_norm {
  parameter<T, shape<W>, D> weight, bias;

  explicit layer_norm(context<D>* on = nullptr) : weight(shape<W>{}, on), bias(shape<W>{}, on) {}

  auto operator()(const auto& x) const { return selfpatch::layer_norm(x, weight, bias); }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    f(at + "weight", self.weight);
    f(at + "bias", self.bias);
  }
};

}  // namespace selfpatch::nn
