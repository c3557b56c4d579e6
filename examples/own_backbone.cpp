// own_backbone: a backbone without attention and positions, trained by SelfPatch.
//
//   x = linear(patches)         x = x + mlp_i(mean of the 8 neighbors in x)
#include <selfpatch/selfpatch.hpp>

#include <cstdio>

namespace sp = selfpatch;
namespace mine {
constexpr sp::index W = 64;

struct mixer {
  static constexpr sp::vit_config config{.width = W, .heads = 4, .patch = 8, .depth = 3};
  using value_type = float;
  using device_type = sp::cpu;
  using images_type = sp::tensor<float, sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>>;
  using tokens_type = sp::tensor<float, sp::shape<sp::dyn, sp::dyn, W>>;

  sp::nn::linear<float, sp::cpu, 3 * 8 * 8, W> embed;
  std::vector<sp::nn::mlp<float, sp::cpu, W, 4 * W>> blocks;

  mixer(sp::index depth, sp::index, sp::context<sp::cpu>* on) : embed(3 * 8 * 8, W, on) {
    for (sp::index i = 0; i < depth; ++i) blocks.emplace_back(on);
  }
  sp::index depth() const { return sp::index(blocks.size()); }
  static sp::grid grid_of(sp::index height, sp::index width) { return {height / 8, width / 8}; }

  /// images (B, 3, H, W)  ->  tokens (B, N, 64)
  auto operator()(const auto& images, const sp::drop_path_draws<float, sp::cpu>& = {}) const {
    auto x = embed(sp::patchify<8>(images));
    const auto window = windows(x, grid_of(images.extent(2), images.extent(3)));
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

}  // namespace mine

int main() {
  sp::recipe recipe;
  sp::find_preset("demo").apply(recipe);
  recipe.arch = "mixer", recipe.steps = 40;
  sp::pretraining<sp::selfpatch_over<mine::mixer>> run(sp::scene_source{.count = 64}, recipe, {});
  double first = 0, last = 0;
  run.train([&](const sp::progress& p) { (p.step == 1 ? first : last) = p.report.loss_patch; });
  std::printf("patch loss: %.3f at step 1, %.3f at step %td\n", first, last, run.steps());
  return last < first ? 0 : 1;
}
