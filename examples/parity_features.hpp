// parity_features: frozen backbones against recorded tokens: a folder of NAME.safetensors (weights
// under the published names) and NAME.expected.safetensors (PICTURES/images, PICTURES/previous,
// PICTURES/last).
#pragma once

#include "parity_files.hpp"
#include "parity_models.hpp"

namespace parity {

namespace detail {

inline bool fits_weights(const vit_config& m, const safetensors_file& weights) {
  const auto& patches = weights.at("patch_embed.proj.weight").shape;
  return patches.size() == 4 && patches[0] == m.width && patches[1] == m.channels &&
         patches[2] == m.patch && m.class_token == (weights.find("cls_token") != nullptr);
}

}  // namespace detail

inline void check_features(const std::filesystem::path& folder, precision run_in, report& to,
                           cpu_context* on) {
  constexpr std::string_view ending = ".expected.safetensors";
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending)) names.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::sort(names.begin(), names.end());
  for (const auto& name : names) {
    const safetensors_file weights(folder / (name + ".safetensors"));
    const safetensors_file expected(folder / (name + std::string(ending)));
    const recorded_backbone recorded{detail::folder_name(folder) + "/" + name, weights, expected};
    const bool known =
        with_model([&](const vit_config& m) { return detail::fits_weights(m, weights); },
                   [&](auto i) {
                     run_in == precision::f32 ? check_backbone<models[i], float>(recorded, to, on)
                                              : check_backbone<models[i], double>(recorded, to, on);
                   });
    if (!known)
      throw error(
          problem{.what = "no such backbone here",
                  .where = weights.name(),
                  .expected = "width/heads/patch among " + list_of_models(false) +
                              ", with class token " + list_of_models(true),
                  .found = "patch_embed.proj.weight " +
                           selfpatch::shape_text(weights.at("patch_embed.proj.weight").shape)});
  }
}

/// A recorded training run, by the network it needs.
inline void check_fixture(const std::filesystem::path& folder, precision run_in, report& to,
                          cpu_context* on) {
  const fixture recorded(folder);
  const auto& a = recorded.about();
  const bool in_double = run_in == precision::recorded ? a.in_double : run_in == precision::f64;
  const auto fits = [&](const vit_config& m) {
    return m.width == a.width && m.heads == a.heads && m.patch == a.patch &&
           m.class_token == a.plain;
  };
  const bool known = with_model(fits, [&](auto i) {
    in_double ? check_training<models[i], double>(recorded, to, on)
              : check_training<models[i], float>(recorded, to, on);
  });
  if (!known)
    throw error(problem{.what = "no such network here",
                        .where = folder.string(),
                        .expected = "width/heads/patch among " + list_of_models(a.plain),
                        .found = triple(a.width, a.heads, a.patch)});
}

}  // namespace parity
