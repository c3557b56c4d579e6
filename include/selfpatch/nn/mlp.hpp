// nn::mlp: fc2(gelu(fc1(x))), W features by way of `Hidden`
#pragma once

#include <selfpatch/nn/linear.hpp>
#include <selfpatch/ops/gelu.hpp>

namespace selfpatch::nn {

template <class T, class D, index W, index Hidden>
struct mlp {
  linear<T, D, W, Hidden> fc1;
  linear<T, D, Hidden, W> fc2;

  explicit mlp(context<D>* on = nullptr) : fc1(W, Hidden, on), fc2(Hidden, W, on) {}

  auto operator()(const auto& x) const { return fc2(gelu(fc1(x))); }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.fc1.visit(self.fc1, at + "fc1.", f);
    self.fc2.visit(self.fc2, at + "fc2.", f);
  }
};

}  // namespace selfpatch::nn
