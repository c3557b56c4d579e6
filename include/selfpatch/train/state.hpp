// state: a run in its checkpoint, all that is needed to go on bit for bit
//
//   student.NAME  teacher.NAME  adamw.m.NAME  adamw.v.NAME  adamw.step.NAME [1] int64
//   center  patch_center
//   metadata: config.OPTION for every field of the recipe, step, images, steps, version
//
// Nothing in it belongs to a thread, a rank or a place.
#pragma once

#include <selfpatch/io/checkpoint.hpp>
#include <selfpatch/nn/weights.hpp>
#include <selfpatch/train/recipe.hpp>

namespace selfpatch {

/// Where a run is.
struct progress_mark {
  index step = 0;         ///< steps done
  index images = 0;       ///< images seen
  index pictures = 0;     ///< there are to learn from
  index total_steps = 0;  ///< of the whole run; fixed at its start
};

template <class Network>
void save_state(const std::filesystem::path& run, const trainer<Network>& t, const recipe& r,
                const progress_mark& at) {
  std::vector<named_view> views = views_of(t.student, "student.");
  for (auto& v : views_of(t.teacher, "teacher.")) views.push_back(std::move(v));
  std::vector<std::int64_t> counts(t.adam_steps.begin(), t.adam_steps.end());
  std::size_t i = 0;
  for_each_parameter(t.student, [&](const std::string& name, const auto& p) {
    const auto extents = p.value.shape().extents();
    const std::vector<index> full(extents.begin(), extents.end());
    if (p.learns) {
      views.push_back(view_of("adamw.m." + name, t.adam_m[i].values(), full));
      views.push_back(view_of("adamw.v." + name, t.adam_v[i].values(), full));
      views.push_back(
          view_of("adamw.step." + name, std::span<const std::int64_t, 1>(&counts[i], 1), {1}));
    }
    ++i;
  });
  views.push_back(view_of("center", t.center));
  if (Network::has_patch_term) views.push_back(view_of("patch_center", t.patch_center));

  string_map metadata{{"step", std::to_string(at.step)},
                      {"images", std::to_string(at.images)},
                      {"steps", std::to_string(at.total_steps)},
                      {"format", "1"},
                      {"pictures", std::to_string(at.pictures)}};
  for (const auto& [name, value] : r.text()) metadata.emplace("config." + name, value);
  save_checkpoint(run, std::span<const named_view>(views), metadata);
}

/// Reads what save_state wrote into a trainer of the same recipe; throws naming the first option
/// that differs. Returns where the run was; `warning` gets a sentence if an older generation had to
/// be used.
template <class Network>
progress_mark load_state(const std::filesystem::path& run, trainer<Network>& t, const recipe& r,
                         std::string& warning) {
  const checkpoint c = load_checkpoint(run);
  warning = c.warning;
  for (const auto& [name, value] : r.text()) {
    const auto at = c.metadata.find("config." + name);
    const std::string found = at == c.metadata.end() ? "nothing" : at->second;
    if (found != value)
      throw error(problem{.what = run.string() + " holds a run of another configuration",
                          .where = "--" + name,
                          .expected = found,
                          .found = value,
                          .hint = "repeat the option, or take another --out"});
  }
  const auto number = [&](const char* key) {
    index n = 0;
    const auto at = c.metadata.find(key);
    const auto end = at == c.metadata.end() ? nullptr : at->second.data() + at->second.size();
    if (!end || std::from_chars(at->second.data(), end, n).ptr != end || n < 0)
      throw error(problem{.what = "cannot read " + c.path.string(),
                          .where = std::string("metadata ") + key,
                          .expected = "a number",
                          .found = at == c.metadata.end() ? "none" : at->second});
    return n;
  };

  const auto none = [](std::string_view) { return false; };
  load_parameters(t.student, c.file, "student.", none);
  load_parameters(t.teacher, c.file, "teacher.", none);
  std::size_t i = 0;
  for_each_parameter(t.student, [&](const std::string& name, const auto& p) {
    if (p.learns) {
      c.file.read_into(c.file.at("adamw.m." + name), t.adam_m[i].values());
      c.file.read_into(c.file.at("adamw.v." + name), t.adam_v[i].values());
      std::int64_t count = 0;
      c.file.read_into(c.file.at("adamw.step." + name), std::span<std::int64_t, 1>(&count, 1));
      t.adam_steps[i] = count;
    }
    ++i;
  });
  c.file.read_into(c.file.at("center"), t.center.values());
  if (Network::has_patch_term) c.file.read_into(c.file.at("patch_center"), t.patch_center.values());
  return {number("step"), number("images"), number("pictures"), number("steps")};
}

}  // namespace selfpatch
