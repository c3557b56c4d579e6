// parity_models: the networks that recorded runs and backbones are checked with. Width, heads and
// patch are types, so each is compiled once, in models/parity_WIDTH_HEADS_PATCH.cpp; all else of a
// fixture is a value.
#pragma once

#include <selfpatch/core/device.hpp>
#include <selfpatch/nn/vit.hpp>

#include "parity_fixture.hpp"

#include <array>
#include <string>

namespace parity {

using selfpatch::vit_config;
using cpu_context = selfpatch::context<selfpatch::cpu>;

/// Repeats a recorded run in number type T and compares everything recorded of it.
template <vit_config C, class T>
void check_training(const fixture& recorded, report& to, cpu_context* on);

/// Weights of a backbone, and what it made of pictures.
struct recorded_backbone {
  std::string name;  ///< of its rows in the report
  const safetensors_file &weights, &expected;
};

/// The tokens of the last two blocks, in number type T.
template <vit_config C, class T>
void check_backbone(const recorded_backbone& recorded, report& to, cpu_context* on);

inline constexpr vit_config model_32_2_4{.width = 32, .heads = 2, .patch = 4};
inline constexpr vit_config model_32_2_4_dino = as_dino(model_32_2_4);
inline constexpr vit_config model_64_4_4{.width = 64, .heads = 4, .patch = 4};
inline constexpr vit_config model_48_3_8{.width = 48, .heads = 3, .patch = 8};
inline constexpr vit_config model_192_3_16{.width = 192, .heads = 3, .patch = 16};
inline constexpr vit_config model_192_3_8{.width = 192, .heads = 3, .patch = 8};
inline constexpr vit_config model_128_4_8{.width = 128, .heads = 4, .patch = 8};

inline constexpr vit_config models[] = {model_32_2_4,     model_64_4_4,  model_48_3_8,
                                        model_192_3_16,   model_192_3_8, model_128_4_8,
                                        model_32_2_4_dino};

/// "32/2/4"
inline std::string triple(index width, index heads, index patch) {
  return std::to_string(width) + "/" + std::to_string(heads) + "/" + std::to_string(patch);
}
inline std::string list_of_models(bool class_token) {
  std::string all;
  for (const auto& m : models)
    if (m.class_token == class_token)
      all += (all.empty() ? "" : ", ") + triple(m.width, m.heads, m.patch);
  return all;
}

/// f(std::integral_constant) with the place in `models` of the first that fits; false where none
/// does.
template <class Fits, class F>
bool with_model(const Fits& fits, const F& f) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return ((fits(models[I]) && (f(std::integral_constant<std::size_t, I>()), true)) || ...);
  }
  (std::make_index_sequence<std::size(models)>());
}

}  // namespace parity
