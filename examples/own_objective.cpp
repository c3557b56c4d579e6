// own_objective: a method of one's own: the student sees crops with every third patch blanked, and
// each patch is to say what the teacher says of the same patch, unblanked.
//
//   student   image = norm(CA(cls, X'))    patches = norm(X')    X' = backbone(blanked crop)
//   teacher   image = norm(CA(cls, X))     patches = norm(X)     X  = backbone(crop)
//
// A method is a network with the members of the protocol in train/objective.hpp. The step, the
// schedule, the health of both terms, checkpoints and the log are the same as SelfPatch's.
#include <selfpatch/selfpatch.hpp>

#include <cstdio>

namespace sp = selfpatch;

namespace mine {

template <sp::vit_config C>
struct blanked_network {
  static constexpr bool has_patch_term = true;
  using value_type = float;
  using device_type = sp::cpu;
  using backbone_type = sp::vit<C>;
  using crops_type = typename backbone_type::images_type;
  using tokens_type = typename backbone_type::tokens_type;
  using drops = std::vector<sp::drop_path_draws<float, sp::cpu>>;

  backbone_type backbone;
  sp::nn::selfpatch_head<float, sp::cpu, C.width, C.heads> ca_head;
  sp::nn::projection_head<float, sp::cpu, C.width> c_head, p_head;

  explicit blanked_network(const sp::network_config& n, sp::context<sp::cpu>* on)
      : backbone(n.depth, n.table, on),
        ca_head(on),
        c_head(n.image_head, on),
        p_head(n.patch_head, on) {}

  const auto& image_head() const { return c_head; }
  const auto& patch_head() const { return p_head; }

  /// Crops come as variables, one per size: global, local. Rows of the result keep their order.
  template <class X>
  auto student(const std::vector<X>& crops, const drops& drop, const sp::patch_rule&) const {
    using tokens = decltype(backbone(crops[0]));
    using summary = decltype(ca_head.student(std::declval<const tokens&>()));
    std::vector<tokens> seen;
    std::vector<typename summary::first_type> image;
    std::vector<typename summary::second_type> patches;
    for (std::size_t i = 0; i < crops.size(); ++i) {
      const auto blank = crops[i].recorded_on()->constant(blanked(crops[i].value()));
      seen.push_back(backbone(blank, drop[i]));
      auto [of_image, of_patches] = ca_head.student(seen.back());
      image.push_back(std::move(of_image));
      patches.push_back(std::move(of_patches));
    }
    auto z = c_head.bottleneck(sp::join_rows(image)),
         z_patch = p_head.bottleneck(sp::join_rows(patches));
    return sp::student_rows<decltype(z), tokens>{std::move(z), std::move(z_patch), std::move(seen)};
  }

  auto teacher(const std::vector<crops_type>& crops, const sp::patch_rule&) const {
    sp::teacher_rows<float, tokens_type, sp::cpu> made;
    std::vector<sp::tensor<float, sp::shape<sp::dyn, C.width>>> image;
    std::vector<tokens_type> patches;
    for (const auto& crop : crops) {
      made.tokens.push_back(backbone(crop));
      auto [of_image, of_patches] = ca_head.student(made.tokens.back());
      image.push_back(std::move(of_image));
      patches.push_back(std::move(of_patches));
    }
    made.image = c_head.bottleneck(sp::join_rows(image));
    made.patch = p_head.bottleneck(sp::join_rows(patches));
    return made;
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.backbone.visit(self.backbone, at + "backbone.", f);
    self.ca_head.visit(self.ca_head, at + "ca_head.", f);
    self.c_head.visit(self.c_head, at + "c_head.", f);
    self.p_head.visit(self.p_head, at + "p_head.", f);
  }

 private:
  /// Every third patch, on diagonals that differ from picture to picture, becomes 0, the mean
  /// color.
  static crops_type blanked(const crops_type& crops) {
    crops_type to = crops.clone();
    const sp::index H = crops.extent(2), side = crops.extent(3);
    for (sp::index r = 0; r < crops.size() / side;
         ++r) {  // a row of pixels: of picture r / (channels H)
      const sp::index picture = r / (C.channels * H), row = r % H / C.patch;
      for (sp::index x = 0; x < side; ++x)
        if ((row + x / C.patch + picture) % 3 == 0) to.data()[r * side + x] = 0;
    }
    return to;
  }
};

}  // namespace mine

int main() {
  sp::recipe recipe;
  sp::find_preset("demo").apply(recipe);
  recipe.steps = 40;
  recipe.batch = 8;
  sp::pretraining<mine::blanked_network<sp::vit_nano8>> run(sp::scene_source{.count = 64}, recipe,
                                                            {});
  double first = 0, last = 0;
  run.train([&](const sp::progress& p) { (p.step == 1 ? first : last) = p.report.loss_patch; });
  std::printf("patch loss: %.3f at step 1, %.3f at step %td\n", first, last, run.steps());
  return last < first - 0.5 ? 0 : 1;
}
