// dino_network: plain DINO, the same parts without the patch term: a backbone with class token and
// final norm, one head
//
//   z_image = head(class token of backbone(crop))
//
// The student sees every crop, the teacher the two global ones.
#pragma once

#include <selfpatch/train/objective.hpp>

namespace selfpatch {

template <vit_config C, class T = float, class D = cpu>
struct dino_network {
  static_assert(C.class_token, "dino_network: DINO's backbone has a class token (see as_dino)");

  static constexpr bool has_patch_term = false;
  using value_type = T;
  using device_type = D;
  using backbone_type = vit<C, T, D>;
  using crops_type = typename backbone_type::images_type;
  using tokens_type = typename backbone_type::tokens_type;
  using drop_type = drop_path_draws<T, D>;

  backbone_type backbone;
  nn::projection_head<T, D, C.width> head;

  explicit dino_network(const network_config& n, context<D>* on = nullptr)
      : backbone(n.depth, n.table, on), head(n.image_head, on) {}

  const auto& image_head() const { return head; }
  const auto& patch_head() const { return head; }

  template <class X>
  auto student(const std::vector<X>& crops, const std::vector<drop_type>& drop,
               const patch_rule&) const {
    using tokens = decltype(backbone(crops[0]));
    std::vector<tokens> seen, image;
    for (std::size_t i = 0; i < crops.size(); ++i) {
      seen.push_back(backbone(crops[i], drop[i]));
      image.push_back(slice_tokens(seen.back(), 0, 1));
    }
    auto z = head.bottleneck(join_rows(image));
    return student_rows<decltype(z), tokens>{z, z, std::move(seen)};
  }

  auto teacher(const std::vector<crops_type>& crops, const patch_rule&) const {
    teacher_rows<T, tokens_type, D> made;
    made.tokens.push_back(backbone(crops[0]));
    std::vector<tokens_type> image;
    image.push_back(slice_tokens(made.tokens[0], 0, 1));
    made.image = head.bottleneck(join_rows(image));
    return made;
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.backbone.visit(self.backbone, at + "backbone.", f);
    self.head.visit(self.head, at + "head.", f);
  }
};

}  // namespace selfpatch
