// parity_losses: what ends a step: cross-entropy, both loss terms with their centers, AdamW.
//
// Logits are given, so the fused op is handed rows z = logits and a last layer whose rows are the
// unit vectors.
#pragma once

#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/projection_head.hpp>
#include <selfpatch/train/center.hpp>

#include "parity_operation.hpp"

namespace parity::ops {

/// A head whose logits are its bottleneck rows.
template <class T>
auto identity_head(index O) {
  selfpatch::nn::projection_head<T, selfpatch::cpu, 1> head(
      {.hidden = 1, .bottleneck = O, .out = O});
  for (index o = 0; o < O; ++o)
    head.weight_v.value.data()[o * O + o] = head.weight_g.value.data()[o] = 1;
  return head;
}

/// One term: rows of a student and a teacher, view after view of `groups` each.
template <class T>
struct term {
  using matrix = tensor<T, shape<dyn, dyn>>;
  using head_type = decltype(identity_head<T>(1));

  matrix student, teacher;
  tensor<T, shape<dyn>> center;
  index groups;
  std::vector<T> row_weight;
  double temperature;
  head_type head = identity_head<T>(center.size());

  auto operator()(const selfpatch::variable<matrix>& z) const {
    const selfpatch::op::distill<T> op{{rows(teacher), rows(head.weight_v.value),
                                        head.weight_g.value.data(), center.data(), temperature},
                                       groups,
                                       row_weight.data()};
    return selfpatch::distill<T>(z, head.weight_v, head.weight_g, op);
  }
};

/// Stored rows of several views, one below the other.
template <class T>
auto stack(operation<T>& op, const std::string& key, index views) {
  std::vector<T> values;
  index width = 0;
  for (index v = 0; v < views; ++v) {
    const auto x = op.template input<dyn, dyn, dyn>(key + std::to_string(v));
    width = x.extent(2);
    values.insert(values.end(), x.values().begin(), x.values().end());
  }
  tensor<T, shape<dyn, dyn>> all(shape<dyn, dyn>(index(values.size()) / width, width));
  std::copy(values.begin(), values.end(), all.data());
  return all;
}

template <class T>
tensor<T, shape<dyn>> as_center(operation<T>& op, const std::string& key) {
  const auto values = op.values(key);
  tensor<T, shape<dyn>> c(shape<dyn>(index(values.size())));
  std::copy(values.begin(), values.end(), c.data());
  return c;
}

template <class T>
auto as_rows(const tensor<T, shape<dyn, dyn, dyn>>& x) {
  tensor<T, shape<dyn, dyn>> y(shape<dyn, dyn>(x.extent(0) * x.extent(1), x.extent(2)));
  std::copy_n(x.data(), x.size(), y.data());
  return y;
}

/// Every row against its own teacher, temperatures 0.04 and 0.1, the mean over rows.
template <class T>
void cross_entropy(operation<T>& op) {
  auto student = as_rows(op.template input<dyn, dyn, dyn>("student"));
  const index R = student.extent(0);
  const term<T> ce{
      {}, as_rows(op.template input<dyn, dyn, dyn>("teacher")), as_center(op, "centre"),
      R,  std::vector<T>(std::size_t(R), T(1.0 / double(R))),   0.04};
  selfpatch::tape on;
  const auto z = on.variable(std::move(student));
  op.output_and_backward(on, ce(z));
  op.gradient("student", z.gradient());
}

/// Compares the rows of a stacked gradient with the recorded ones of each view.
template <class T>
void compare_views(operation<T>& op, const std::string& key, index views,
                   const tensor<T, shape<dyn, dyn>>& gradient) {
  const T* at = gradient.data();
  for (index v = 0; v < views; ++v) {
    const std::string name = key + std::to_string(v);
    const std::size_t size = op.values(name).size();
    op.compare(name, std::span<const T>(at, size));
    at += size;
  }
}

/// The rows of a center moved by the mean of a teacher's rows.
template <class T>
void compare_center(operation<T>& op, const std::string& key, const term<T>& t,
                    const tensor<T, shape<dyn, dyn>>& seen) {
  selfpatch::center_update<T, selfpatch::cpu> update;
  update.add(seen);
  op.compare(key, update.moved(t.head, t.center, 0.9));
}

/// Both terms of a step at teacher temperature 0.05: total = image + 0.1 patch, and the centers
/// after it.
template <class T>
void loss(operation<T>& op) {
  index views = 0;
  while (op.has("student.image." + std::to_string(views))) ++views;
  const index B = op.template input<dyn, dyn, dyn>("student.image.0").extent(0);

  auto all = stack(op, "teacher.image.", views);
  term<T> image{stack(op, "student.image.", views),
                stack(op, "teacher.image.", 2),
                as_center(op, "center"),
                B,
                std::vector<T>(std::size_t(views * B), T(1.0 / double(2 * (views - 1) * B))),
                0.05};
  std::vector<T> weight;
  for (index v = 0; v < views; ++v) {
    const index R =
        B * op.template input<dyn, dyn, dyn>("student.patch." + std::to_string(v)).extent(1);
    weight.insert(weight.end(), std::size_t(R), T(1.0 / double(views * R)));
  }
  term<T> patch{stack(op, "student.patch.", views),
                stack(op, "teacher.patch.", views),
                as_center(op, "patch_center"),
                index(weight.size()),
                weight,
                0.05};

  selfpatch::tape on;
  const auto z_image = on.variable(std::move(image.student)),
             z_patch = on.variable(std::move(patch.student));
  const auto L_image = image(z_image), L_patch = patch(z_patch);
  const T values[] = {L_image.value().data()[0] + T(0.1) * L_patch.value().data()[0],
                      L_image.value().data()[0], L_patch.value().data()[0]};
  op.compare("values", std::span<const T>(values));
  L_patch.gradient().data()[0] = T(0.1);
  on.backward(L_image);
  compare_views(op, "grad.student.image.", views, z_image.gradient());
  compare_views(op, "grad.student.patch.", views, z_patch.gradient());
  compare_center(op, "center.after", image, all);
  compare_center(op, "patch_center.after", patch, patch.teacher);
}

/// Three steps of one tensor with clipping at 0.5, lr 0.01 and weight decay 0.3.
template <class T>
void adamw(operation<T>& op) {
  auto p = op.template input<dyn, dyn>("start");
  tensor<T, shape<dyn, dyn>> m(p.shape()), v(p.shape());
  for (index i = 0; op.has("grad." + std::to_string(i)); ++i) {
    const auto g = op.template input<dyn, dyn>("grad." + std::to_string(i));
    const double clip = selfpatch::clip_coefficient(std::sqrt(selfpatch::squared_norm(g)), 0.5);
    selfpatch::adamw({.lr = 1e-2, .weight_decay = 0.3, .clip = clip}, i + 1, p, g, m, v);
    op.compare("after." + std::to_string(i), p);
  }
  op.compare("exp_avg", m);
  op.compare("exp_avg_sq", v);
}

}  // namespace parity::ops
