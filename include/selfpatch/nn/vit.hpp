// vit: the vision transformer of SelfPatch, DINO and timm's DINOv2 as one template
//
//   images (B, C, H, W)  ->  tokens (B, prefix + N, width),  N = (H / patch)(W / patch)
//
// What a program knows stands in vit_config, what the file or the run decides (depth, size of the
// position table) are values. A model called on tensors infers, called on variables records for the
// backward pass.
//
//   vit<vit_small16> backbone;                      // SelfPatch: no class token, no final norm
//   auto tokens = backbone(images);
#pragma once

#include <selfpatch/nn/block.hpp>
#include <selfpatch/ops/interpolate.hpp>
#include <selfpatch/ops/patchify.hpp>
#include <selfpatch/ops/tokens.hpp>

namespace selfpatch {

/// The architecture, as a value that can be a template argument.
struct vit_config {
  index width = 384;
  index heads = 6;
  index patch = 16;
  index channels = 3;
  index mlp_ratio = 4;
  bool class_token = false;
  index registers =
      0;  ///< with registers, positions are added before class token and registers are put in front
  bool final_norm = false;
  bool layer_scale = false;
  position_rule position = position_rule::offset;
  index depth = 12;  ///< the usual one; the model's own is a value
  index table = 14;  ///< side of the position table, likewise

  constexpr index prefix() const { return index(class_token) + registers; }
  /// Rows of the position table that belong to the class token.
  constexpr index class_rows() const { return class_token && registers == 0 ? 1 : 0; }
  constexpr bool operator==(const vit_config&) const = default;
};

inline constexpr vit_config vit_tiny16{.width = 192, .heads = 3};
inline constexpr vit_config vit_small16{.width = 384, .heads = 6};
inline constexpr vit_config vit_base16{.width = 768, .heads = 12};
inline constexpr vit_config vit_tiny8{.width = 192, .heads = 3, .patch = 8, .table = 28};
inline constexpr vit_config vit_small8{.width = 384, .heads = 6, .patch = 8, .table = 28};
inline constexpr vit_config vit_base8{.width = 768, .heads = 12, .patch = 8, .table = 28};
/// For demos and tests: 48-pixel crops of 8-pixel patches.
inline constexpr vit_config vit_nano8{.width = 128, .heads = 4, .patch = 8, .depth = 4, .table = 6};
inline constexpr vit_config dinov2_small14{.width = 384,
                                           .heads = 6,
                                           .patch = 14,
                                           .class_token = true,
                                           .final_norm = true,
                                           .layer_scale = true,
                                           .position = position_rule::antialias,
                                           .table = 37};
inline constexpr vit_config dinov2_small14_registers{.width = 384,
                                                     .heads = 6,
                                                     .patch = 14,
                                                     .class_token = true,
                                                     .registers = 4,
                                                     .final_norm = true,
                                                     .layer_scale = true,
                                                     .position = position_rule::antialias,
                                                     .table = 37};

/// The same architecture with DINO's class token and final norm.
constexpr vit_config as_dino(vit_config c) {
  c.class_token = c.final_norm = true;
  return c;
}

/// The draws of stochastic depth for one forward pass, depth x 2 branches; empty keeps everything.
template <class T, class D>
using drop_path_draws = std::vector<tensor<T, shape<dyn>, D>>;

template <vit_config C, class T = float, class D = cpu>
struct vit {
  static_assert(C.width > 0 && C.patch > 0 && C.channels > 0,
                "vit_config: width, patch and channels are positive");
  static_assert(C.width % C.heads == 0, "vit_config: width must be a multiple of heads");

  static constexpr vit_config config = C;
  static constexpr index width = C.width;
  using value_type = T;
  using device_type = D;
  using block_type = nn::block<T, D, C.width, C.heads, C.mlp_ratio, C.layer_scale>;
  using tokens_type = tensor<T, shape<dyn, dyn, C.width>, D>;
  using images_type = tensor<T, shape<dyn, C.channels, dyn, dyn>, D>;

  template <bool Present, index N>
  using token = std::conditional_t<Present, parameter<T, shape<1, N, C.width>, D>, nn::nothing>;

  [[no_unique_address]] token<C.class_token, 1> cls_token;
  [[no_unique_address]] token<(C.registers > 0), C.registers> reg_token;
  parameter<T, shape<1, dyn, C.width>, D> pos_embed;
  parameter<T, shape<C.width, C.channels, C.patch, C.patch>, D> patch_weight;
  parameter<T, shape<C.width>, D> patch_bias;
  std::vector<block_type> blocks;
  [[no_unique_address]] std::conditional_t<C.final_norm, nn::layer_norm<T, D, C.width>, nn::nothing>
      norm;

  /// Zeros; see initialize (nn/init.hpp) and load. `table` is the side of the square position
  /// table.
  explicit vit(index depth = C.depth, index table = C.table, context<D>* on = nullptr)
      : pos_embed(shape<1, dyn, C.width>(table * table + C.class_rows()), on),
        patch_weight({}, on),
        patch_bias({}, on) {
    if constexpr (C.class_token) cls_token = parameter<T, shape<1, 1, C.width>, D>({}, on);
    if constexpr (C.registers > 0)
      reg_token = parameter<T, shape<1, C.registers, C.width>, D>({}, on);
    if constexpr (C.final_norm) norm = nn::layer_norm<T, D, C.width>(on);
    blocks.reserve(std::size_t(depth));
    for (index i = 0; i < depth; ++i) blocks.emplace_back(on);
  }

  index depth() const { return index(blocks.size()); }
  /// Patches of an image of this size.
  static grid grid_of(index height, index width) { return {height / C.patch, width / C.patch}; }

  /// Tokens of images (B, C, H, W): class token, registers, then patches row by row.
  auto operator()(const auto& images, const drop_path_draws<T, D>& drop = {}) const {
    auto x = embed(images);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto* draw = drop.empty() ? nullptr : &drop[2 * i];
      x = blocks[i](x, draw, draw ? draw + 1 : nullptr);
    }
    if constexpr (C.final_norm)
      return norm(x);
    else
      return x;
  }

  /// Tokens after each of the last `count` blocks, each with the final norm where the backbone has
  /// one.
  std::vector<tokens_type> intermediate(const images_type& images, index count) const {
    std::vector<tokens_type> last;
    auto x = embed(images);
    for (index i = 0; i < depth(); ++i) {
      x = blocks[std::size_t(i)](x);
      if (i < depth() - count) continue;
      if constexpr (C.final_norm)
        last.push_back(norm(x));
      else
        last.push_back(x.clone());
    }
    return last;
  }

  template <class Self, class F>
  static void visit(Self& self, const std::string& at, const F& f) {
    if constexpr (C.class_token) f(at + "cls_token", self.cls_token);
    f(at + "pos_embed", self.pos_embed);
    if constexpr (C.registers > 0) f(at + "reg_token", self.reg_token);
    f(at + "patch_embed.proj.weight", self.patch_weight);
    f(at + "patch_embed.proj.bias", self.patch_bias);
    for (std::size_t i = 0; i < self.blocks.size(); ++i)
      block_type::visit(self.blocks[i], at + "blocks." + std::to_string(i) + ".", f);
    if constexpr (C.final_norm) self.norm.visit(self.norm, at + "norm.", f);
  }

 private:
  auto embed(const auto& images) const {
    const grid g = grid_of(images.extent(2), images.extent(3));
    const auto patches = linear(patchify<C.patch>(images), patch_weight, patch_bias);  // (B, N, W)
    const auto& positions = on_tape_of(patches, pos_embed);
    if constexpr (C.class_rows() == 1) {
      const auto x = add(
          patches, interpolate(slice_tokens(positions, 1, positions.extent(1) - 1), g, C.position));
      return prepend_tokens(add(on_tape_of(patches, cls_token), slice_tokens(positions, 0, 1)), x);
    } else {
      auto x = add(patches, interpolate(positions, g, C.position));
      if constexpr (C.prefix() == 0)
        return x;
      else if constexpr (!C.class_token)
        return prepend_tokens(on_tape_of(patches, reg_token), x);
      else
        return prepend_tokens(on_tape_of(patches, cls_token),
                              prepend_tokens(on_tape_of(patches, reg_token), x));
    }
  }
};

}  // namespace selfpatch
