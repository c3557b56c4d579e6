// A network small enough for a test, and pictures for it.
#pragma once

#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/data/open_source.hpp>
#include <selfpatch/train/dino.hpp>
#include <selfpatch/train/pretrain.hpp>
#include <selfpatch/train/selfpatch.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

constexpr sp::vit_config mini{.width = 16, .heads = 2, .patch = 8, .depth = 2, .table = 4};

template <class T = float>
using mini_network = sp::selfpatch_network<mini, T>;
template <class T = float>
using mini_dino = sp::dino_network<sp::as_dino(mini), T>;

inline sp::network_config mini_config() {
  return {.depth = 2, .table = 4, .image_head = {24, 8, 20}, .patch_head = {24, 8, 12}};
}

inline sp::recipe mini_recipe(sp::index steps) {
  sp::recipe r;
  sp::find_preset("demo").apply(r);
  r.steps = steps;
  r.batch = 4;
  r.global_size = 32;
  r.local_size = 16;
  r.local_crops = 2;
  r.out_dim = 32;
  r.patch_out_dim = 16;
  r.head_hidden = 24;
  r.head_bottleneck = 8;
  r.lr = 0.06;
  r.drop_path = 0.1;
  r.seed = 3;
  return r;
}

inline sp::source mini_pictures() { return sp::open_source("scenes:24", nullptr); }

/// Every weight of student and teacher, one after the other.
template <class Network>
std::vector<float> weights_of(const sp::trainer<Network>& t) {
  std::vector<float> all;
  const auto add = [&](const std::string&, const auto& p) {
    all.insert(all.end(), p.value.values().begin(), p.value.values().end());
  };
  sp::for_each_parameter(t.student, add);
  sp::for_each_parameter(t.teacher, add);
  all.insert(all.end(), t.center.values().begin(), t.center.values().end());
  return all;
}

/// Crops of `images` pictures, 2 global of 32 x 32 and 2 local of 16 x 16 pixels each.
template <class Network>
std::vector<typename Network::crops_type> random_crops(sp::index images, std::uint64_t seed) {
  std::vector<typename Network::crops_type> crops;
  for (const sp::index side : {32, 16}) {
    crops.emplace_back(sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>(2 * images, side, side));
    sp::random draw(seed, sp::purpose::test, side);
    for (auto& x : crops.back().values()) x = typename Network::value_type(draw.normal());
  }
  return crops;
}

template <class Network>
std::vector<typename Network::drop_type> no_drop() {
  return std::vector<typename Network::drop_type>(2);
}
