// plan: what a run will take, from its shapes alone: parameters, bytes, arithmetic, time
//
// Multiply-adds per image are counted as the engine does them (keys and values once per token, one
// pass per head); a backward pass costs twice its forward. Memory is that of the arena: weights,
// moments, gradients, and what the backward pass needs of the largest resolution at a time.
#pragma once

#include <selfpatch/train/recipe.hpp>

namespace selfpatch {

struct plan {
  index parameters = 0;  ///< of one network
  index backbone_parameters = 0;
  double flops_per_image = 0;   ///< of a whole step, two per multiply-add
  double weight_bytes = 0;      ///< student, teacher, gradients, two moments
  double activation_bytes = 0;  ///< at the peak of a micro-batch
  double checkpoint_bytes = 0;
  double bytes() const { return weight_bytes + activation_bytes; }
};

namespace detail {

/// Counts of one network, in multiply-adds or numbers.
struct model_counts {
  double W, depth, hidden, P, patch_values;

  double block() const { return 12 * W * W + 13 * W; }
  double head(double out) const {
    return W * hidden + hidden * hidden + hidden * P + out * P + 2 * hidden + P + out;
  }
  double head_macs(double rows, double out) const {
    return rows * (W * hidden + hidden * hidden + hidden * P + out * P);
  }
  double backbone_macs(double images, double N) const {
    return images * N * (patch_values * W + depth * (12 * W * W + 2 * N * W));
  }
};

}  // namespace detail

/// The forecast for float numbers.
inline plan make_plan(const recipe& r, const vit_config& c) {
  const network_config n = r.network(c);
  const bool selfpatch = r.learn == method::selfpatch;
  const detail::model_counts m{double(c.width), double(n.depth), double(n.image_head.hidden),
                               double(n.image_head.bottleneck),
                               double(c.channels * c.patch * c.patch)};
  const double W = m.W, table = double(n.table * n.table + (selfpatch ? 0 : 1));
  plan p;
  const double backbone =
      table * W + m.patch_values * W + W + m.depth * m.block() + (selfpatch ? 0 : 3 * W);
  const double heads = selfpatch ? W + 2 * m.block() + 2 * W + m.head(double(n.image_head.out)) +
                                       m.head(double(n.patch_head.out))
                                 : m.head(double(n.image_head.out));
  p.backbone_parameters = index(backbone);
  p.parameters = index(backbone + heads);

  const double prefix = selfpatch ? 0 : 1, L = r.local_crops;
  const auto tokens = [&](int side) { return double(side / c.patch) * double(side / c.patch); };
  const double Ng = tokens(r.global_size), Nl = tokens(r.local_size),
               T = 2 * Ng + (r.patch_views == patch_views::all ? L * Nl : 0);
  const double crops_g = m.backbone_macs(2, Ng + prefix), crops_l = m.backbone_macs(L, Nl + prefix);
  const double all = 2 * Ng + L * Nl, views = 2 + L;
  double student = crops_g + crops_l + m.head_macs(views, double(n.image_head.out));
  double teacher = crops_g + m.head_macs(2, double(n.image_head.out));
  if (selfpatch) {
    student += 2 * all * 2 * W * W + m.head_macs(T, double(n.patch_head.out));
    teacher += crops_l + m.head_macs(views, 0) + all * 22 * W * W +
               m.head_macs(T, double(n.patch_head.out));
  }
  p.flops_per_image = 2 * (teacher + 3 * student);

  // Each token keeps, per block: norm, qkv, attention, projection, sum, norm, hidden, gelu, output,
  // sum; and once the pixels (crop, recorded crop, patches), embedding, sum. Gradients come and go,
  // about ten widths of the global crops' tokens and two hidden layers of the heads at a time.
  const double B = double(r.batch / r.accumulate);
  const double token =
      (1 + 3 + 1 + 1 + 1 + 1 + 4 + 4 + 1 + 1) * W * m.depth + 3 * m.patch_values + 2 * W;
  const double rows = selfpatch ? T : views, row = 6 * m.hidden + 4 * m.P + 3 * W;
  const double cap = 16.0 * (1 << 20);  // of the loss's blocks, see cpu/distill.hpp
  const auto loss = [&](double groups, double in_group, double out) {
    return std::min(4 * groups * in_group * out, std::max(cap, 4 * in_group * out)) +
           4 * m.P * (out + groups * in_group);
  };
  p.weight_bytes = 4 * double(p.parameters) * 5;
  p.activation_bytes = 4 * B *
                           ((all + prefix * views) * token + rows * row +
                            (selfpatch ? all * 8 * W : 0) + 2 * Ng * 10 * W) +
                       loss(B, views + 2, double(n.image_head.out)) +
                       (selfpatch ? loss(B * T, 2, double(n.patch_head.out)) : 0);
  p.checkpoint_bytes = 4 * double(p.parameters) * 4;
  return p;
}

}  // namespace selfpatch
