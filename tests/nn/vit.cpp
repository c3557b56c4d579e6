#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/io/safetensors.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/vit.hpp>

#include "testing.hpp"

#include <vector>

namespace sp = selfpatch;

namespace {

constexpr sp::vit_config tiny{.width = 32, .heads = 2, .patch = 4, .depth = 2, .table = 6};
constexpr sp::vit_config dinov2{.width = 24,
                                .heads = 2,
                                .patch = 14,
                                .class_token = true,
                                .registers = 4,
                                .final_norm = true,
                                .layer_scale = true,
                                .position = sp::position_rule::antialias,
                                .depth = 2,
                                .table = 5};

template <class Module>
std::vector<std::string> names_of(const Module& m) {
  std::vector<std::string> names;
  sp::for_each_parameter(m, [&](const std::string& name, const auto&) { names.push_back(name); });
  return names;
}

std::vector<std::string> block_names(int i, bool scaled) {
  std::vector<std::string> names;
  const std::string at = "blocks." + std::to_string(i) + ".";
  for (const char* n :
       {"norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight",
        "attn.proj.bias", "ls1.gamma", "norm2.weight", "norm2.bias", "mlp.fc1.weight",
        "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias", "ls2.gamma"})
    if (scaled || std::string(n).find("gamma") == std::string::npos) names.push_back(at + n);
  return names;
}

/// The tokens of the last two blocks for recorded weights and pictures; how far they are off, at
/// most.
template <sp::vit_config C>
double disagreement_with(const std::string& kind) {
  const sp::safetensors_file weights(fixture("features") / (kind + ".safetensors"));
  const sp::safetensors_file expected(fixture("features") / (kind + ".expected.safetensors"));
  sp::vit<C, double> net;
  sp::for_each_parameter(net,
                         [&](const std::string& name, auto& p) { weights.read(name, p.value); });
  double worst = 0;
  for (const std::string name : {"square", "wide"}) {
    const auto& shape = expected.at(name + "/images").shape;
    sp::tensor<double, sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>> images(
        sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>(shape[0], shape[2], shape[3]));
    expected.read(name + "/images", images);
    const auto made = net.intermediate(images, 2);
    for (std::size_t i = 0; i < 2; ++i) {
      auto tokens = made[i].clone();
      expected.read(name + (i == 0 ? "/previous" : "/last"), tokens);
      worst = std::max(worst, largest_difference(made[i], tokens));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("vit names its parameters as the published SelfPatch backbone does, in its order",
          "[nn][vit]") {
  std::vector<std::string> expected{"pos_embed", "patch_embed.proj.weight",
                                    "patch_embed.proj.bias"};
  for (int i = 0; i < 2; ++i)
    for (const auto& n : block_names(i, false)) expected.push_back(n);
  CHECK(names_of(sp::vit<tiny>()) == expected);
}

TEST_CASE("vit of DINO has a class token in front and a norm at the end", "[nn][vit]") {
  const auto names = names_of(sp::vit<sp::as_dino(tiny)>());
  CHECK(names.front() == "cls_token");
  CHECK(names[names.size() - 2] == "norm.weight");
  CHECK(names.back() == "norm.bias");
}

TEST_CASE("vit of DINOv2 with registers has timm's names, and a position table without class row",
          "[nn][vit]") {
  const sp::vit<dinov2> net;
  std::vector<std::string> expected{"cls_token", "pos_embed", "reg_token",
                                    "patch_embed.proj.weight", "patch_embed.proj.bias"};
  for (int i = 0; i < 2; ++i)
    for (const auto& n : block_names(i, true)) expected.push_back(n);
  expected.insert(expected.end(), {"norm.weight", "norm.bias"});
  CHECK(names_of(net) == expected);
  CHECK(net.pos_embed.value.extent(1) == 25);
  CHECK(net.reg_token.value.extent(1) == 4);
}

TEST_CASE("vit of DINOv2 puts class token and registers before the patches of any grid",
          "[nn][vit]") {
  sp::vit<dinov2> net;
  sp::initialize<float, sp::cpu>(net, 1);
  for (const auto& [h, w] : {std::pair(70, 70), std::pair(28, 56)}) {
    const auto tokens = net(random_tensor<float>(sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>(2, h, w)));
    CHECK(tokens.extent(0) == 2);
    CHECK(tokens.extent(1) == 5 + h / 14 * (w / 14));
    CHECK(tokens.extent(2) == 24);
  }
}

TEST_CASE("vit reads published weights by name and gives the recorded tokens, square and wide",
          "[nn][vit][parity]") {
  CHECK(disagreement_with<tiny>("selfpatch") < 1e-12);
  CHECK(disagreement_with<sp::as_dino(tiny)>("dino") < 1e-12);
}

TEST_CASE("vit called on variables gives the tokens it gives called on tensors", "[nn][vit]") {
  sp::vit<tiny> net;
  sp::initialize<float, sp::cpu>(net, 1);
  sp::learn(net);
  const auto images = random_tensor<float>(sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>(2, 16, 24));
  sp::tape on;
  const auto recorded = net(on.constant(images.clone()));
  CHECK(largest_difference(recorded.value(), net(images)) == 0);
  on.backward(recorded);
  sp::for_each_parameter(net, [](const std::string& name, const auto& p) {
    double most = 0;
    for (const float g : p.gradient.values()) most = std::max(most, std::abs(double(g)));
    INFO(name);
    CHECK(most > 0);
  });
}

TEST_CASE("vit's gradients are the derivatives of its tokens, the resampled position table's too",
          "[nn][vit][grad]") {
  constexpr sp::vit_config c{.width = 4,
                             .heads = 2,
                             .patch = 2,
                             .channels = 1,
                             .class_token = true,
                             .final_norm = true,
                             .depth = 2,
                             .table = 2};
  sp::vit<c, double> net;
  sp::initialize<double, sp::cpu>(net, 1);
  for (auto& p : sp::parameters<double, sp::cpu>(net))  // large enough that everything matters
    if (p.name.find("norm") == std::string::npos)
      for (sp::index i = 0; i < p.size; ++i) p.value[i] *= 10;
  sp::learn(net);
  const auto images = random_tensor<double>(sp::shape<sp::dyn, 1, sp::dyn, sp::dyn>(2, 4, 6), 1);
  const auto direction = random_tensor<double>(sp::shape<sp::dyn>{2 * 7 * 4}, 2);
  const auto loss = [&] {
    const auto y = net(images);
    double sum = 0;
    for (sp::index i = 0; i < y.size(); ++i) sum += y.data()[i] * direction.data()[i];
    return sum;
  };
  sp::tape on;
  const auto y = net(on.constant(images.clone()));
  std::copy_n(direction.data(), direction.size(), y.gradient().data());
  on.backward(y);

  double worst = 0;
  for (auto& p : sp::parameters<double, sp::cpu>(net))
    for (sp::index i = 0; i < p.size; i += 1 + p.size / 5) {
      const double was = p.value[i], h = 1e-6;
      p.value[i] = was + h;
      const double up = loss();
      p.value[i] = was - h;
      const double slope = (up - loss()) / (2 * h);
      p.value[i] = was;
      worst = std::max(worst, std::abs(slope - p.gradient[i]) / std::max(1.0, std::abs(slope)));
    }
  CHECK(worst < 1e-6);
}

TEST_CASE("vit refuses pictures whose sides are no multiples of the patch", "[nn][vit]") {
  const sp::vit<tiny> net;
  CHECK_THROWS_WITH(net(random_tensor<float>(sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>(1, 16, 18))),
                    contains("multiples of 4, found 16 x 18"));
}

TEST_CASE("vit's architectures have the published numbers of parameters", "[nn][vit]") {
  const auto count = [](const auto& net) {
    sp::index n = 0;
    sp::for_each_parameter(net, [&](const std::string&, const auto& p) { n += p.value.size(); });
    return n;
  };
  // ViT-Ti/16 at 224 as in DeiT has 5 717 416 with a classifier of 192 000 + 1000, class token and
  // row 2 * 192, norm 384
  CHECK(count(sp::vit<sp::vit_tiny16>()) == 5717416 - 193000 - 2 * 192 - 384);
  CHECK(count(sp::vit<sp::as_dino(sp::vit_tiny16)>()) == 5717416 - 193000);
}
