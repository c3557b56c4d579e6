#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/weights.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

constexpr sp::vit_config plain{.width = 8, .heads = 2, .patch = 4, .depth = 2, .table = 3};

template <sp::vit_config C>
sp::vit<C> made(std::uint64_t seed) {
  sp::vit<C> model;
  sp::initialize<float, sp::cpu>(model, seed);
  return model;
}

}  // namespace

TEST_CASE("SelfPatch's backbone starts from DINO's weights without its class token", "[nn][weights]") {
  const temporary_folder folder;
  const auto dino = made<sp::as_dino(plain)>(1);
  sp::save_backbone(dino, folder.path() / "dino.safetensors", "dino", "0 0 0", "1 1 1");
  auto model = made<plain>(2);
  sp::start_from(model, sp::safetensors_file(folder.path() / "dino.safetensors"));
  CHECK(largest_difference(model.blocks[1].qkv.weight.value, dino.blocks[1].qkv.weight.value) == 0);
  for (sp::index i = 0; i < 9 * 8; ++i) REQUIRE(model.pos_embed.value.data()[i] == dino.pos_embed.value.data()[8 + i]);
}

TEST_CASE("DINO's backbone starts from SelfPatch's weights and keeps its own class token", "[nn][weights]") {
  const temporary_folder folder;
  const auto source = made<plain>(1);
  sp::save_backbone(source, folder.path() / "w.safetensors", "vit", "0 0 0", "1 1 1");
  auto model = made<sp::as_dino(plain)>(2);
  const auto before = model.cls_token.value.clone();
  sp::start_from(model, sp::safetensors_file(folder.path() / "w.safetensors"));
  CHECK(largest_difference(model.cls_token.value, before) == 0);
  CHECK(largest_difference(model.blocks[0].proj.weight.value, source.blocks[0].proj.weight.value) == 0);
  for (sp::index i = 0; i < 9 * 8; ++i) REQUIRE(model.pos_embed.value.data()[8 + i] == source.pos_embed.value.data()[i]);
}

TEST_CASE("weights of another shape are no start", "[nn][weights]") {
  const temporary_folder folder;
  constexpr sp::vit_config wide{.width = 16, .heads = 2, .patch = 4, .depth = 2, .table = 3};
  sp::save_backbone(made<wide>(1), folder.path() / "w.safetensors", "vit", "0 0 0", "1 1 1");
  auto model = made<plain>(2);
  CHECK_THROWS_WITH(sp::start_from(model, sp::safetensors_file(folder.path() / "w.safetensors")),
                    contains("does not fit this model"));
}
