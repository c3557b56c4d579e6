// nn::class_block: class attention, which updates a query token from itself and a set of tokens
// that stay as they are
//
//   u = norm1(token)
//   c = c + proj(attend(q(norm1 c); k(norm1 c), v(norm1 c), k(u), v(u)))
//   c = c + mlp(norm2 c)
//
// norm1, k and v act on single tokens, so those of an image's tokens are made once (keys_values)
// and serve every query that attends to some of them: the image's own and, by index, each patch's.
#pragma once

#include <selfpatch/nn/layer_norm.hpp>
#include <selfpatch/nn/mlp.hpp>
#include <selfpatch/ops/add.hpp>
#include <selfpatch/ops/class_attention.hpp>
#include <selfpatch/ops/neighbor_attention.hpp>

namespace selfpatch::nn {

/// Keys and values (B, N, W) of tokens, for one block.
template <class X>
struct keys_values {
  X k, v;
};

template <class T, class D, index W, index H>
struct class_block {
  static_assert(W % H == 0, "vit_config: width must be a multiple of heads");

  layer_norm<T, D, W> norm1, norm2;
  linear<T, D, W, W> q, k, v, proj;
  nn::mlp<T, D, W, 4 * W> mlp;

  explicit class_block(context<D>* on = nullptr)
      : norm1(on), norm2(on), q(W, W, on), k(W, W, on), v(W, W, on), proj(W, W, on), mlp(on) {}

  template <class X>
  keys_values<X> prepare(const X& tokens) const {
    const auto u = norm1(tokens);
    return {k(u), v(u)};
  }

  /// One query per image over all its tokens: c (B, W), or (1, W) for all  ->  (B, W).
  template <class X>
  auto operator()(const auto& c, const keys_values<X>& of) const {
    return update(c, [&](const auto& u) {
      return selfpatch::class_attention(q(u), k(u), v(u), of.k, of.v, H);
    });
  }

  /// One query per patch over its chosen neighbors: c (B N, W), or (1, W) for all  ->  (B N, W).
  template <class X>
  auto operator()(const auto& c, const keys_values<X>& of, const auto& chosen) const {
    return update(c, [&](const auto& u) {
      return selfpatch::neighbor_attention(q(u), k(u), v(u), of.k, of.v, chosen, H);
    });
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.norm1.visit(self.norm1, at + "norm1.", f);
    self.q.visit(self.q, at + "attn.q.", f);
    self.k.visit(self.k, at + "attn.k.", f);
    self.v.visit(self.v, at + "attn.v.", f);
    self.proj.visit(self.proj, at + "attn.proj.", f);
    self.norm2.visit(self.norm2, at + "norm2.", f);
    self.mlp.visit(self.mlp, at + "mlp.", f);
  }

 private:
  auto update(const auto& c, const auto& attend) const {
    const auto h = add(proj(attend(norm1(c))), c);
    return add(mlp(norm2(h)), h);
  }
};

}  // namespace selfpatch::nn
