// nn::block: the transformer block, norm first
//
//   x = x + DP( ls1 proj(attention(qkv(norm1 x))) )
//   x = x + DP( ls2 mlp(norm2 x) )
//
// DP drops a branch for whole samples (its draws are an input), ls scales features where the
// backbone says so.
#pragma once

#include <selfpatch/nn/layer_norm.hpp>
#include <selfpatch/nn/mlp.hpp>
#include <selfpatch/ops/add.hpp>
#include <selfpatch/ops/attention.hpp>
#include <selfpatch/ops/drop_path.hpp>
#include <selfpatch/ops/layer_scale.hpp>

namespace selfpatch::nn {

struct nothing {};

template <class T, class D, index W, index H, index Ratio, bool LayerScale>
struct block {
  static_assert(W % H == 0, "vit_config: width must be a multiple of heads");

  using gamma = std::conditional_t<LayerScale, parameter<T, shape<W>, D>, nothing>;
  /// 1 / (1 - rate) where a sample keeps a branch, 0 where not: one per sample.
  using draw = tensor<T, shape<dyn>, D>;

  layer_norm<T, D, W> norm1, norm2;
  linear<T, D, W, 3 * W> qkv;
  linear<T, D, W, W> proj;
  nn::mlp<T, D, W, Ratio * W> mlp;
  [[no_unique_address]] gamma ls1, ls2;

  explicit block(context<D>* on = nullptr)
      : norm1(on),
        norm2(on),
        qkv(W, 3 * W, on),
        proj(W, W, on),
        mlp(on),
        ls1(make(on)),
        ls2(make(on)) {}

  /// x (B, N, W); a null draw keeps every sample.
  auto operator()(const auto& x, const draw* keep1 = nullptr, const draw* keep2 = nullptr) const {
    const auto h = residual(x, scaled(proj(attention(qkv(norm1(x)), H)), ls1), keep1);
    return residual(h, scaled(mlp(norm2(h)), ls2), keep2);
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.norm1.visit(self.norm1, at + "norm1.", f);
    self.qkv.visit(self.qkv, at + "attn.qkv.", f);
    self.proj.visit(self.proj, at + "attn.proj.", f);
    if constexpr (LayerScale) f(at + "ls1.gamma", self.ls1);
    self.norm2.visit(self.norm2, at + "norm2.", f);
    self.mlp.visit(self.mlp, at + "mlp.", f);
    if constexpr (LayerScale) f(at + "ls2.gamma", self.ls2);
  }

 private:
  static gamma make([[maybe_unused]] context<D>* on) {
    if constexpr (LayerScale)
      return gamma(shape<W>{}, on);
    else
      return {};
  }
  template <class X>
  static auto scaled(X branch, [[maybe_unused]] const gamma& g) {
    if constexpr (LayerScale)
      return layer_scale(branch, g);
    else
      return branch;
  }
  template <class X>
  static X residual(const X& x, const X& branch, const draw* keep) {
    return keep ? drop_path(x, branch, *keep) : add(x, branch);
  }
};

}  // namespace selfpatch::nn
