// nn::projection_head: W -> hidden -> hidden -> P, unit length, then O prototypes
//
//   z = l2_normalize(mlp(x)), mlp of three linear layers with GELU between
//   logits_o = g_o (z . v_o) / |v_o|
//
// hidden, P and O are values: they come from the file. With norm_last_layer (the published default)
// g is 1 and does not learn, so logits are cosines.
#pragma once

#include <selfpatch/nn/linear.hpp>
#include <selfpatch/ops/gelu.hpp>
#include <selfpatch/ops/l2_normalize.hpp>
#include <selfpatch/ops/weight_norm.hpp>

namespace selfpatch {

/// The widths of a projection head.
struct head_config {
  index hidden = 2048, bottleneck = 256, out = 65536;
  bool norm_last_layer = true;
  constexpr bool operator==(const head_config&) const = default;
};

namespace nn {

template <class T, class D, index W>
struct projection_head {
  head_config config;
  linear<T, D, W, dyn> fc0;
  linear<T, D, dyn, dyn> fc1, fc2;
  parameter<T, shape<dyn, 1>, D> weight_g;
  parameter<T, shape<dyn, dyn>, D> weight_v;

  explicit projection_head(const head_config& c, context<D>* on = nullptr)
      : config(c),
        fc0(W, c.hidden, on),
        fc1(c.hidden, c.hidden, on),
        fc2(c.hidden, c.bottleneck, on),
        weight_g(shape<dyn, 1>(c.out), on),
        weight_v(shape<dyn, dyn>(c.out, c.bottleneck), on) {}

  /// x (..., W)  ->  z (..., P), rows of length 1.
  auto bottleneck(const auto& x) const { return l2_normalize(fc2(gelu(fc1(gelu(fc0(x)))))); }
  /// z (..., P)  ->  logits (..., O).
  auto logits(const auto& z) const { return weight_norm(z, weight_v, weight_g); }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.fc0.visit(self.fc0, at + "mlp.0.", f);
    self.fc1.visit(self.fc1, at + "mlp.2.", f);
    self.fc2.visit(self.fc2, at + "mlp.4.", f);
    f(at + "last_layer.weight_g", self.weight_g);
    f(at + "last_layer.weight_v", self.weight_v);
  }
};

}  // namespace nn
}  // namespace selfpatch
