// objective: what a network learns from, for any method.
//
// A method is a network type with
//
//   backbone                                        a vit, or what models `backbone`
//   has_patch_term
//   student(crops, drop)  -> student_rows           recorded where the crops are variables
//   teacher(crops, rule)  -> teacher_rows           tensors
//   image_head(), patch_head()                      their last layers
//
// and a visit() that lists its parameters. SelfPatch (selfpatch.hpp) and DINO (dino.hpp) are the
// two that exist.
//
// Crops come per resolution: [2 B, C, H, W] global, [L B, C, h, w] local (absent when L = 0), row =
// view * B + image.
#pragma once

#include <selfpatch/nn/projection_head.hpp>
#include <selfpatch/nn/selfpatch_head.hpp>
#include <selfpatch/nn/vit.hpp>

#include <concepts>

namespace selfpatch {

/// What a network can be made of: a module from images (B, C, H, W) to tokens (B, N, width).
/// `config` is a vit_config: a run reads width, heads, patch, channels and the usual depth from it.
template <class B>
concept backbone = requires(
    const B& b, const typename B::images_type& images, context<typename B::device_type>* on,
    const drop_path_draws<typename B::value_type, typename B::device_type>& drop) {
  B(index(), index(), on);  // depth, side of the position table
  { b.depth() } -> std::convertible_to<index>;
  { B::grid_of(index(), index()) } -> std::convertible_to<grid>;
  { b(images, drop) } -> std::same_as<typename B::tokens_type>;
  { B::config.width } -> std::convertible_to<index>;
};

/// What a network is made with beside its type.
struct network_config {
  index depth = 12;
  index table = 14;  ///< side of the position table
  head_config image_head{};
  head_config patch_head{.out = 4096};
  constexpr bool operator==(const network_config&) const = default;
};

/// How patches find and use their neighbors, and which views have a patch term.
struct patch_rule {
  neighborhood neighbors{};
  aggregation how = aggregation::attention;
  bool local_views = true;
  constexpr bool operator==(const patch_rule& o) const {
    return neighbors.k == o.neighbors.k && neighbors.radius == o.neighbors.radius &&
           neighbors.edge == o.neighbors.edge &&
           neighbors.include_self == o.neighbors.include_self && how == o.how &&
           local_views == o.local_views;
  }
};

/// What a student makes of a batch: bottleneck rows of all crops, and of all their patches.
template <class Rows, class Tokens>
struct student_rows {
  Rows image;                  ///< (views B, P), view after view
  Rows patch;                  ///< (patches of all crops, P), in the order of the crops
  std::vector<Tokens> tokens;  ///< per resolution
};

/// What a teacher makes of it. `image` holds the views the teacher saw, the two global ones first.
template <class T, class Tokens, class D>
struct teacher_rows {
  tensor<T, shape<dyn, dyn>, D> image, patch;
  std::vector<Tokens> tokens;
  std::vector<neighbors<sum_of<T>, D>> chosen;  ///< per resolution with a patch term
};

/// The rows of one or two resolutions as one matrix.
template <class X>
auto join_rows(const std::vector<X>& parts) {
  using V = std::remove_cvref_t<decltype(value_of(parts[0]))>;
  const index W = rows(value_of(parts[0])).cols;
  if (parts.size() > 1) return concat_rows(parts[0], parts[1]);
  const tensor<value_of_t<V>, shape<dyn, width_of<V>>, device_of<V>> none(
      shape<dyn, width_of<V>>::from({0, W}));
  return concat_rows(parts[0], none);
}

}  // namespace selfpatch
