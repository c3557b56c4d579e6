// parity_ops: single operations against recorded inputs, outputs and gradients, a folder with
// ops.json and ops.safetensors (parity_operation.hpp has its names). Every tensor of the file takes
// part or is refused by name.
//
// In double 1e-12 of a tensor's largest value + 1e-14 is allowed, in float 2^-16 of it.
#pragma once

#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/block.hpp>
#include <selfpatch/nn/projection_head.hpp>
#include <selfpatch/nn/selfpatch_head.hpp>
#include <selfpatch/ops/interpolate.hpp>

#include "parity_losses.hpp"
#include "parity_matching.hpp"
#include "parity_operation.hpp"

namespace parity {

namespace ops {

template <class T>
void layer_norm(operation<T>& op) {
  selfpatch::tape on;
  const auto x = on.variable(op.template input<dyn, dyn>("input"));
  const auto gain = on.variable(op.template input<dyn>("weight")),
             bias = on.variable(op.template input<dyn>("bias"));
  op.output_and_backward(on, selfpatch::layer_norm(x, gain, bias));
  op.gradient("input", x.gradient());
  op.gradient("weight", gain.gradient());
  op.gradient("bias", bias.gradient());
}

/// An operation with one input of any rank, read as rows.
template <class T, index... E, class F>
void of_one(operation<T>& op, const std::string& key, const F& f) {
  selfpatch::tape on;
  const auto x = on.variable(op.template input<E...>(key));
  op.output_and_backward(on, f(x));
  op.gradient(key, x.gradient());
}

/// position.M.HxW.RULE
template <class T>
void position(operation<T>& op) {
  selfpatch::grid to;
  char rule[16] = "";
  if (std::sscanf(op.name().c_str(), "position.%*d.%tdx%td.%15s", &to.rows, &to.cols, rule) != 3)
    throw error(problem{.what = "parity: cannot read the operation's name", .where = op.name()});
  const auto how = rule == std::string("plain") ? selfpatch::position_rule::plain
                                                : selfpatch::position_rule::offset;
  of_one<T, 1, dyn, dyn>(op, "table",
                         [&](const auto& table) { return interpolate(table, to, how); });
}

template <class T>
void patch_embed(operation<T>& op) {
  selfpatch::tape on;
  const auto x = on.variable(op.template input<dyn, 3, dyn, dyn>("x"));
  const auto w = on.variable(op.template input<dyn, 3, 4, 4>("proj_weight"));
  const auto bias = on.variable(op.template input<dyn>("proj_bias"));
  op.output_and_backward(on, linear(selfpatch::patchify<4>(x), w, bias));
  op.gradient("x", x.gradient());
  op.gradient("proj_weight", w.gradient());
  op.gradient("proj_bias", bias.gradient());
}

inline constexpr index width = 16, heads = 2;

/// A module of x alone: its output, then the gradients of x and of its parameters.
template <class T, index... E, class Module, class F>
void of_module(operation<T>& op, Module& m, const F& f) {
  op.load(m);
  selfpatch::tape on;
  const auto x = on.variable(op.template input<E...>("x"));
  op.output_and_backward(on, f(x));
  op.gradient("x", x.gradient());
  op.gradients(m);
}

template <class T>
struct attention_module {
  selfpatch::nn::linear<T, selfpatch::cpu, width, 3 * width> qkv;
  selfpatch::nn::linear<T, selfpatch::cpu, width, width> proj;

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.qkv.visit(self.qkv, at + "qkv.", f);
    self.proj.visit(self.proj, at + "proj.", f);
  }
};

template <class T>
void attention(operation<T>& op) {
  attention_module<T> m;
  of_module<T, dyn, dyn, width>(
      op, m, [&](const auto& x) { return m.proj(selfpatch::attention(m.qkv(x), heads)); });
}

/// Rate 0.25; the attention branch drops the second sample, the MLP branch the first.
template <class T>
void block(operation<T>& op) {
  selfpatch::nn::block<T, selfpatch::cpu, width, heads, 4, false> m;
  tensor<T, shape<dyn>> keep1(shape<dyn>(3)), keep2(shape<dyn>(3));
  keep1.data()[0] = keep1.data()[2] = keep2.data()[1] = keep2.data()[2] = T(1 / 0.75);
  of_module<T, dyn, dyn, width>(op, m, [&](const auto& x) { return m(x, &keep1, &keep2); });
}

template <class T>
void class_block(operation<T>& op) {
  selfpatch::nn::class_block<T, selfpatch::cpu, width, heads> m;
  op.load(m);
  selfpatch::tape on;
  const auto stored = op.template input<dyn, 1, width>("cls");
  tensor<T, shape<dyn, width>> rows(shape<dyn, width>(stored.extent(0)));
  std::copy_n(stored.data(), stored.size(), rows.data());
  const auto cls = on.variable(std::move(rows));
  const auto tokens = on.variable(op.template input<dyn, dyn, width>("tokens"));
  op.output_and_backward(on, m(cls, m.prepare(tokens)));
  op.gradient("cls", cls.gradient());
  op.gradient("tokens", tokens.gradient());
  op.gradients(m);
}

/// The teacher's patches for a given choice, with their norm.
template <class T>
void aggregate(operation<T>& op) {
  const auto chosen = op.template indices<dyn, dyn, dyn>("index");
  selfpatch::nn::selfpatch_head<T, selfpatch::cpu, width, heads> m;
  of_module<T, dyn, dyn, width>(op, m,
                                [&](const auto& x) { return m.norm(m.aggregate(x, chosen)); });
}

template <class T>
void projection_head(operation<T>& op) {
  const auto v = op.template input<dyn, dyn>("last_layer_weight_v"),
             hidden = op.template input<dyn, dyn>("mlp_2_weight");
  selfpatch::nn::projection_head<T, selfpatch::cpu, width> m({.hidden = hidden.extent(0),
                                                              .bottleneck = v.extent(1),
                                                              .out = v.extent(0),
                                                              .norm_last_layer = false});
  of_module<T, dyn, width>(op, m, [&](const auto& x) { return m.logits(m.bottleneck(x)); });
}

template <class T>
void check(operation<T>& op, const json& about) {
  const std::string& name = op.name();
  const std::string kind = name.substr(0, name.find('.'));
  if (kind == "match")
    matching(op, about);
  else if (kind == "aggregate")
    aggregate(op);
  else if (kind == "position")
    position(op);
  else if (kind == "patch_embed")
    patch_embed(op);
  else if (kind == "attention")
    attention(op);
  else if (name == "block.drop_path")
    block(op);
  else if (kind == "class_block")
    class_block(op);
  else if (kind == "layer_norm")
    layer_norm(op);
  else if (kind == "gelu")
    of_one<T, dyn>(op, "input", [](const auto& x) { return gelu(x); });
  else if (kind == "normalize")
    of_one<T, dyn, dyn>(op, "input", [](const auto& x) { return l2_normalize(x); });
  else if (kind == "projection_head")
    projection_head(op);
  else if (kind == "cross_entropy")
    cross_entropy(op);
  else if (kind == "loss")
    loss(op);
  else if (kind == "adamw")
    adamw(op);
  // anything else is found to be unused
}

}  // namespace ops

/// All operations of a folder in number type T.
template <class T>
void check_ops(const std::filesystem::path& folder, report& to) {
  const safetensors_file file(folder / "ops.safetensors");
  const auto about = detail::read_json(folder / "ops.json");
  std::vector<std::string> names;
  for (const auto& entry : file.tensors()) {
    std::string name = entry.name.substr(0, entry.name.find('/'));
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  std::set<std::string> used;
  for (const auto& name : names) {
    operation<T> op(file, detail::folder_name(folder), name, to, used);
    detail::explaining(folder, [&] { ops::check(op, about); });
  }
  for (const auto& entry : file.tensors())
    if (!used.contains(entry.name))
      throw error(problem{.what = "cannot use " + file.name(),
                          .where = "tensor " + entry.name,
                          .expected = "a tensor of an operation this program knows"});
}

}  // namespace parity
