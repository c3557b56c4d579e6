// init: starting weights
//
//   linear weights, tokens, position table   N(0, 0.02^2), cut off at 6 deviations
//   patch embedding, its bias, weight_v      uniform +-1 / sqrt(fan_in)
//   other biases 0, norms 1 and 0            row lengths of last layers 1
//   layer scales 1e-5 (DINOv2's)
//
// Each tensor draws from a stream of its own, keyed by its name: adding a layer changes no other
// layer.
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/nn/module.hpp>

#include <algorithm>

namespace selfpatch {

/// FNV-1a, 64 bits.
constexpr std::uint64_t name_hash(std::string_view name) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (char c : name) h = (h ^ std::uint64_t(static_cast<unsigned char>(c))) * 0x100000001B3u;
  return h;
}

/// `prefix` stands in front of the names: a backbone alone draws what it would draw inside a
/// network as "backbone.".
template <class T, class D, class Module>
void initialize(Module& m, std::uint64_t seed, const std::string& prefix = "") {
  index patch_fan_in = 1;
  for (auto& p : parameters<T, D>(m, prefix)) {
    random draw(seed, purpose::init, name_hash(p.name));
    const std::span<T> values(p.value, std::size_t(p.size));
    const auto uniform = [&](index fan_in) {
      const double bound = 1 / std::sqrt(double(fan_in));
      for (T& x : values) x = T(draw.uniform(-bound, bound));
    };
    const index fan_in = p.shape.empty() ? 1 : p.size / p.shape[0];
    if (p.name.ends_with("patch_embed.proj.weight"))
      uniform(patch_fan_in = fan_in);
    else if (p.name.ends_with("patch_embed.proj.bias"))
      uniform(patch_fan_in);
    else if (p.name.ends_with("weight_v"))
      uniform(fan_in);
    else if (p.name.ends_with("weight_g"))
      std::fill(values.begin(), values.end(), T(1));
    else if (p.name.ends_with("gamma"))
      std::fill(values.begin(), values.end(), T(1e-5));
    else if (p.shape.size() == 1)
      std::fill(values.begin(), values.end(),
                T(p.name.find("norm") != std::string::npos && p.name.ends_with("weight")));
    else
      for (T& x : values) x = T(std::clamp(0.02 * draw.normal(), -0.12, 0.12));
  }
}

}  // namespace selfpatch
