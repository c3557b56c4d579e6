// own_backbone: a backbone without attention and positions, trained by SelfPatch.
//
//   x = linear(patches)         x = x + mlp_i(mean of the 8 neighbors in x)
#include <selfpatch/selfpatch.hpp>

#include <cstdio>

namespace sp = selfpatch;
namespace mine {
constexpr sp::index W = 64;

struct mixer {
  static constexpr sp::vit_config config{.width = W, .patch = 8, .depth = 3};  // what a run reads
  using images_type = sp::tensor<float, sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>>;
  using tokens_type = sp::tensor<float, sp::shape<sp::dyn, sp::dyn, W>>;

  sp::nn::linear<float, sp::cpu, 3 * 8 * 8, W> embed;
  std::vector<sp::nn::mlp<float, sp::cpu, W, 4 * W>> blocks;

  mixer(sp::index depth, sp::context<sp::cpu>* on) : embed(3 * 8 * 8, W, on) {
    for (sp::index i = 0; i < depth; ++i) blocks.emplace_back(on);
  }
  sp::index depth() const { return sp::index(blocks.size()); }
  static sp::grid grid_of(const auto& x) { return {x.extent(2) / 8, x.extent(3) / 8}; }

  /// images (B, 3, H, W)  ->  tokens (B, N, 64)
  auto operator()(const auto& images) const {
    auto x = embed(sp::patchify<8>(images));
    const auto window = windows(x, grid_of(images));
    for (const auto& mlp : blocks) x = add(x, mlp(neighbor_mean(x, window)));
    return x;
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    self.embed.visit(self.embed, at + "patch_embed.proj.", f);
    for (std::size_t i = 0; i < self.blocks.size(); ++i)
      self.blocks[i].visit(self.blocks[i], at + "blocks." + std::to_string(i) + ".", f);
  }

 private:
  /// The 8 neighbors of each patch, (B, N, 8); kept by the tape, as inputs must live until
  /// backward.
  static auto windows(const auto& x, sp::grid g) {
    auto all = neighbor_topk(sp::value_of(x), g, {.k = 8, .edge = sp::border::clamped}).index;
    if constexpr (requires { x.recorded_on(); })
      return x.recorded_on()->constant(std::move(all));
    else
      return all;
  }
};

// Runs call these two for --init and for backbone.safetensors.
inline void start_from(mixer& m, const sp::safetensors_file& f) {
  load_parameters(m, f, "", [](auto) { return false; });
}
inline void save_backbone(const mixer& m, const auto& to, const auto& name, const auto&...) {
  const auto views = sp::views_of(m);
  sp::write_safetensors(to, std::span<const sp::named_view>(views), {{"architecture", name}});
}

/// SelfPatch over it: the protocol of train/objective.hpp, for two sizes of crops.
struct network {
  static constexpr bool has_patch_term = true;
  using value_type = float;
  using device_type = sp::cpu;
  using backbone_type = mixer;
  using crops_type = mixer::images_type;
  mixer backbone;
  sp::nn::selfpatch_head<float, sp::cpu, W, 4> ca_head;
  sp::nn::projection_head<float, sp::cpu, W> c_head, p_head;

  explicit network(const sp::network_config& n, sp::context<sp::cpu>* on)
      : backbone(n.depth, on), ca_head(on), c_head(n.image_head, on), p_head(n.patch_head, on) {}
  const auto& image_head() const { return c_head; }
  const auto& patch_head() const { return p_head; }

  auto student(const auto& crops, const auto&, const sp::patch_rule&) const {
    auto global = backbone(crops[0]), local = backbone(crops[1]);
    const auto [image, patches] = ca_head.student(global);
    const auto [local_image, local_patches] = ca_head.student(local);
    auto z = c_head.bottleneck(concat_rows(image, local_image));
    auto z_patch = p_head.bottleneck(concat_rows(patches, local_patches));
    return sp::student_rows<decltype(z), decltype(global)>{z, z_patch, {global, local}};
  }
  auto teacher(const std::vector<crops_type>& crops, const sp::patch_rule& rule) const {
    sp::teacher_rows<float, mixer::tokens_type, sp::cpu> made;
    std::vector<sp::tensor<float, sp::shape<sp::dyn, W>>> images, patches;
    for (const auto& c : crops) {
      const auto& x = made.tokens.emplace_back(backbone(c));
      made.chosen.push_back(neighbor_topk(x, mixer::grid_of(c), rule.neighbors));
      auto seen = ca_head.teacher(x, made.chosen.back().index);
      images.push_back(std::move(seen.first)), patches.push_back(std::move(seen.second));
    }
    made.image = c_head.bottleneck(sp::join_rows(images));
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
};
}  // namespace mine

int main() {
  sp::recipe recipe;
  sp::find_preset("demo").apply(recipe);
  recipe.arch = "mixer", recipe.steps = 40;
  sp::pretraining<mine::network> run(sp::scene_source{.count = 64}, recipe, {});
  double first = 0, last = 0;
  run.train([&](const sp::progress& p) { (p.step == 1 ? first : last) = p.report.loss_patch; });
  std::printf("patch loss: %.3f at step 1, %.3f at step %td\n", first, last, run.steps());
  return last < first - 0.5 ? 0 : 1;
}
