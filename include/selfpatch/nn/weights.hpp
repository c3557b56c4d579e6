// weights: backbones in and out of files, by the published names
//
// A file may hold a bare backbone (ours, timm's), or a whole network: then the names start with
// `backbone.`, perhaps after `teacher.`, `student.` or `module.`; the teacher goes first.
// Everything the model has must be there in its shape, and nothing of the backbone may be left
// over: a partial load is an error that lists what does not fit.
#pragma once

#include <selfpatch/io/safetensors.hpp>
#include <selfpatch/nn/vit.hpp>

#include <set>

namespace selfpatch {

/// What a weight file says about its backbone.
struct weights_info {
  std::string prefix;  ///< in front of the published names in this file
  index width = 0, patch_rows = 0, patch_cols = 0, channels = 0, depth = 0, registers = 0,
        table_rows = 0;
  bool class_token = false, final_norm = false, layer_scale = false;
  std::string architecture;  ///< from the metadata; empty where the file does not say

  /// Side of the square position table.
  index table() const {
    const index grid = table_rows - (class_token && registers == 0 ? 1 : 0);
    const index M = index(std::lround(std::sqrt(double(grid))));
    return M * M == grid ? M : 0;
  }
};

inline weights_info inspect_weights(const safetensors_file& file) {
  weights_info w;
  bool found = false;
  for (const char* prefix :
       {"", "teacher.backbone.", "backbone.", "module.backbone.", "teacher.", "student.backbone."})
    if (!found && file.find(std::string(prefix) + "patch_embed.proj.weight")) {
      w.prefix = prefix;
      found = true;
    }
  if (!found)
    throw error(problem{.what = file.name() + " holds no backbone",
                        .where = "tensor patch_embed.proj.weight",
                        .expected = "the published names",
                        .found = "none",
                        .hint = "convert .pth files with scripts/convert_pth.py"});
  const auto shape_at = [&](const std::string& name) {
    const auto* t = file.find(w.prefix + name);
    return t ? t->shape : std::vector<index>{};
  };
  if (const auto s = shape_at("patch_embed.proj.weight"); s.size() == 4) {
    w.width = s[0];
    w.channels = s[1];
    w.patch_rows = s[2];
    w.patch_cols = s[3];
  }
  if (const auto s = shape_at("pos_embed"); s.size() == 3) w.table_rows = s[1];
  if (const auto s = shape_at("reg_token"); s.size() == 3) w.registers = s[1];
  w.class_token = !shape_at("cls_token").empty();
  w.final_norm = !shape_at("norm.weight").empty();
  w.layer_scale = !shape_at("blocks.0.ls1.gamma").empty();
  while (!shape_at("blocks." + std::to_string(w.depth) + ".norm1.weight").empty()) ++w.depth;
  if (const auto at = file.metadata().find("architecture"); at != file.metadata().end())
    w.architecture = at->second;
  return w;
}

/// True where a model of this configuration can hold the weights (heads are not in a file).
inline bool fits(const vit_config& c, const weights_info& w) {
  return c.width == w.width && c.patch == w.patch_rows && c.patch == w.patch_cols &&
         c.channels == w.channels && c.class_token == w.class_token &&
         c.final_norm == w.final_norm && c.layer_scale == w.layer_scale &&
         c.registers == w.registers;
}

/// Reads every parameter of a module; names in the file are prefix + name. `ignored` says which of
/// the file's other names with that prefix may be left over.
template <class Module, class Ignore>
void load_parameters(Module& m, const safetensors_file& file, const std::string& prefix,
                     const Ignore& ignored) {
  std::string wrong;
  index count = 0;
  std::set<std::string, std::less<>> known;
  const auto complain = [&](const std::string& what) {
    if (count++ < 3) wrong.append(wrong.empty() ? "" : "; ").append(what);
  };
  for_each_parameter(m, [&](const std::string& name, auto& p) {
    known.insert(name);
    const auto extents = p.value.shape().extents();
    const auto* t = file.find(prefix + name);
    if (!t) return complain(name + " is missing");
    if (!std::equal(t->shape.begin(), t->shape.end(), extents.begin(), extents.end()))
      return complain(name + " is " + shape_text(t->shape) + ", the model has " +
                      to_string(p.value.shape()));
    file.read_into(*t, p.value.values());
  });
  for (const auto name : file.names())
    if (name.starts_with(prefix) && !known.contains(name.substr(prefix.size())) &&
        !ignored(name.substr(prefix.size())))
      complain(std::string(name) + " is not in the model");
  if (count)
    throw error(problem{
        .what = file.name() + " does not fit this model: " + std::to_string(count) + " tensors",
        .where = wrong});
}

/// Names that accompany a backbone in published files and are not part of it.
inline bool beside_backbone(std::string_view name) {
  for (const char* part :
       {"head.", "head_dist.", "fc_norm.", "ca_head.", "c_head.", "p_head.", "mask_token",
        "teacher.", "student.", "adamw.", "center", "patch_center"})
    if (name.starts_with(part)) return true;
  return false;
}

/// Weights of a backbone into a model made with the same depth and table (see inspect_weights).
template <vit_config C, class T, class D>
void load_backbone(vit<C, T, D>& model, const safetensors_file& file) {
  load_parameters(model, file, inspect_weights(file).prefix, beside_backbone);
}

/// The same as a start for training, where the file may be of the other kind: DINO's class token,
/// its position and the final norm are left out for SelfPatch's backbone, and keep their starting
/// values the other way round.
template <vit_config C, class T, class D>
void start_from(vit<C, T, D>& model, const safetensors_file& file) {
  const weights_info info = inspect_weights(file);
  const auto of_one_kind = [](std::string_view name) {
    return name == "cls_token" || name == "reg_token" || name.starts_with("norm.");
  };
  const index class_rows = info.class_token && info.registers == 0 ? 1 : 0;
  std::string wrong;
  for_each_parameter(model, [&](const std::string& name, auto& p) {
    const auto* t = file.find(info.prefix + name);
    if (name == "pos_embed") {
      const index rows = p.value.extent(1) - C.class_rows();
      if (!t || t->shape.size() != 3 || t->shape[1] - class_rows != rows || t->shape[2] != C.width)
        return void(wrong = "pos_embed is " + (t ? shape_text(t->shape) : "missing") +
                            ", the model has " + std::to_string(rows) + " patches of width " +
                            std::to_string(C.width));
      std::vector<T> values(std::size_t(t->shape[1] * C.width));
      file.read_into(*t, std::span<T>(values));
      std::copy(values.begin() + class_rows * C.width, values.end(),
                p.value.data() + C.class_rows() * C.width);
      return;
    }
    const auto extents = p.value.shape().extents();
    if (t && std::equal(t->shape.begin(), t->shape.end(), extents.begin(), extents.end()))
      file.read_into(*t, p.value.values());
    else if (!of_one_kind(name) && wrong.empty())
      wrong = name + (t ? " is " + shape_text(t->shape) : " is missing");
  });
  if (info.depth != model.depth())
    wrong = std::to_string(info.depth) + " blocks, the model has " + std::to_string(model.depth());
  for (const auto name : file.names()) {
    const auto bare = name.substr(std::min(name.size(), info.prefix.size()));
    const bool known =
        bare.starts_with("blocks.") || bare.starts_with("patch_embed.") || bare == "pos_embed";
    if (name.starts_with(info.prefix) && wrong.empty() && !known && !of_one_kind(bare) &&
        !beside_backbone(bare))
      wrong = std::string(bare) + " is not in the model";
  }
  if (!wrong.empty())
    throw error(problem{.what = file.name() + " does not fit this model",
                        .where = wrong,
                        .hint = "take --arch, --depth and --table of the file"});
}

template <class Module>
std::vector<named_view> views_of(const Module& m, const std::string& prefix = "") {
  std::vector<named_view> all;
  for_each_parameter(m, [&](const std::string& name, const auto& p) {
    all.push_back(view_of(prefix + name, p.value));
  });
  return all;
}

inline const char* to_string(position_rule rule) {
  constexpr std::array names{"offset", "plain", "antialias"};
  return names[std::size_t(rule)];
}

/// Writes a backbone: published names, and what a reader must know. Equal weights are equal files.
template <vit_config C, class T, class D>
void save_backbone(const vit<C, T, D>& model, const std::filesystem::path& path,
                   const std::string& architecture, const std::string& mean,
                   const std::string& std) {
  const auto views = views_of(model);
  write_safetensors(path, std::span<const named_view>(views),
                    {{"architecture", architecture},
                     {"heads", std::to_string(C.heads)},
                     {"mean", mean},
                     {"patch", std::to_string(C.patch)},
                     {"position", to_string(C.position)},
                     {"std", std}});
}

}  // namespace selfpatch
