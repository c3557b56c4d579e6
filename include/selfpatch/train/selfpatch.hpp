// selfpatch_network: SelfPatch as published (arXiv 2206.07990): backbone, aggregation head, two
// projection heads
//
//   X  = backbone(crop)                    raw tokens, no final norm
//   student   image = norm(CA(cls, X))     patches = norm(X)
//   teacher   image = norm(CA(cls, X))     patches_i = norm(CA(cls, {X_j : j of i's k nearest}))
//   both      z_image = c_head(image)      z_patch = p_head(patches)
//
// Teacher and student see every crop. Both heads run once over the rows of all crops.
#pragma once

#include <selfpatch/train/objective.hpp>

namespace selfpatch {

/// Over any backbone (train/objective.hpp says what it must have).
template <backbone Backbone>
struct selfpatch_over {
  static_assert(Backbone::config.prefix() == 0,
                "selfpatch_network: SelfPatch's backbone has no class token");

  static constexpr bool has_patch_term = true;
  static constexpr index width = Backbone::config.width;
  using value_type = typename Backbone::value_type;
  using device_type = typename Backbone::device_type;
  using backbone_type = Backbone;
  using crops_type = typename Backbone::images_type;
  using tokens_type = typename Backbone::tokens_type;
  using drop_type = drop_path_draws<value_type, device_type>;

  backbone_type backbone;
  nn::selfpatch_head<value_type, device_type, width, Backbone::config.heads> ca_head;
  nn::projection_head<value_type, device_type, width> c_head, p_head;

  explicit selfpatch_over(const network_config& n, context<device_type>* on = nullptr)
      : backbone(n.depth, n.table, on),
        ca_head(on),
        c_head(n.image_head, on),
        p_head(n.patch_head, on) {}

  const auto& image_head() const { return c_head; }
  const auto& patch_head() const { return p_head; }

  /// `crops` and `drop` per resolution; crops are tensors or variables.
  template <class X>
  auto student(const std::vector<X>& crops, const std::vector<drop_type>& drop,
               const patch_rule& rule) const {
    using tokens = decltype(backbone(crops[0]));
    using pair = decltype(ca_head.student(std::declval<const tokens&>()));
    std::vector<tokens> seen;
    std::vector<typename pair::first_type> image;
    std::vector<typename pair::second_type> patch;
    for (std::size_t i = 0; i < crops.size(); ++i) {
      seen.push_back(backbone(crops[i], drop[i]));
      auto [of_image, of_patches] = ca_head.student(seen.back());
      image.push_back(std::move(of_image));
      if (i == 0 || rule.local_views) patch.push_back(std::move(of_patches));
    }
    auto z_image = c_head.bottleneck(join_rows(image));
    auto z_patch = p_head.bottleneck(join_rows(patch));
    return student_rows<decltype(z_image), tokens>{std::move(z_image), std::move(z_patch),
                                                   std::move(seen)};
  }

  auto teacher(const std::vector<crops_type>& crops, const patch_rule& rule) const {
    teacher_rows<value_type, tokens_type, device_type> made;
    std::vector<tensor<value_type, shape<dyn, width>, device_type>> image, patch;
    for (std::size_t i = 0; i < crops.size(); ++i) {
      made.tokens.push_back(backbone(crops[i]));
      const auto& x = made.tokens.back();
      const grid g = backbone.grid_of(crops[i].extent(2), crops[i].extent(3));
      made.chosen.push_back(neighbor_topk(x, g, rule.neighbors));
      auto [of_image, of_patches] = ca_head.teacher(x, made.chosen.back().index, rule.how);
      image.push_back(std::move(of_image));
      if (i == 0 || rule.local_views) patch.push_back(std::move(of_patches));
    }
    made.image = c_head.bottleneck(join_rows(image));
    made.patch = p_head.bottleneck(join_rows(patch));
    return made;
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.backbone.visit(self.backbone, at + "backbone.", f);
    self.ca_head.visit(self.ca_head, at + "ca_head.", f);
    self.c_head.visit(self.c_head, at + "c_head.", f);
    self.p_head.visit(self.p_head, at + "p_head.", f);
  }
};

/// Over a vision transformer.
template <vit_config C, class T = float, class D = cpu>
using selfpatch_network = selfpatch_over<vit<C, T, D>>;

}  // namespace selfpatch
