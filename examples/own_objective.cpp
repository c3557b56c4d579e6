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

/// SelfPatch's parts, taught differently: student() and teacher() stand in for its own.
template <sp::vit_config C>
struct blanked_network : sp::selfpatch_network<C> {
  using parts = sp::selfpatch_network<C>;
  using parts::parts;
  using typename parts::crops_type;

  /// Crops come as variables, one per size: global, local. Rows of the result keep their order.
  template <class X>
  auto student(const std::vector<X>& crops, const auto& drop, const sp::patch_rule& rule) const {
    std::vector<X> blank;
    for (const auto& c : crops) blank.push_back(c.recorded_on()->constant(blanked(c.value())));
    return parts::student(blank, drop, rule);
  }

  auto teacher(const std::vector<crops_type>& crops, const sp::patch_rule&) const {
    sp::teacher_rows<float, typename parts::tokens_type, sp::cpu> made;
    std::vector<sp::tensor<float, sp::shape<sp::dyn, C.width>>> image;
    std::vector<typename parts::tokens_type> patches;
    for (const auto& crop : crops) {
      made.tokens.push_back(this->backbone(crop));
      auto [of_image, of_patches] = this->ca_head.student(made.tokens.back());
      image.push_back(std::move(of_image));
      patches.push_back(std::move(of_patches));
    }
    made.image = this->c_head.bottleneck(sp::join_rows(image));
    made.patch = this->p_head.bottleneck(sp::join_rows(patches));
    return made;
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
  return last < first ? 0 : 1;
}
