// recipe: the value that configures a run, and the presets that fill it in
//
// Every field that changes what is learned is listed once, in visit(): programs make options of the
// list, the log and the checkpoint hold it as text, and a resumed run is compared with it field by
// field. Defaults are those of the published code. Threads, devices, intervals and places are no
// part of it.
//
// Lengths of warm-up, freezing and the like are given in epochs of a run of `epochs`; where the
// length of the run is given in steps or minutes instead, they keep their share of it.
#pragma once

#include <selfpatch/data/format.hpp>
#include <selfpatch/data/multi_crop.hpp>
#include <selfpatch/train/trainer.hpp>

#include <charconv>
#include <string_view>
#include <utility>

namespace selfpatch {

enum class method { selfpatch, dino };
enum class color_recipe { published, mild };
enum class patch_views { all, global };

/// The words of an enumeration, as options and files spell them.
template <class E>
constexpr auto words() {
  if constexpr (std::is_same_v<E, method>)
    return std::array{std::pair{"selfpatch", method::selfpatch}, std::pair{"dino", method::dino}};
  else if constexpr (std::is_same_v<E, color_recipe>)
    return std::array{std::pair{"published", color_recipe::published},
                      std::pair{"mild", color_recipe::mild}};
  else if constexpr (std::is_same_v<E, patch_views>)
    return std::array{std::pair{"all", patch_views::all}, std::pair{"global", patch_views::global}};
  else if constexpr (std::is_same_v<E, border>)
    return std::array{std::pair{"torus", border::torus}, std::pair{"clamped", border::clamped}};
  else if constexpr (std::is_same_v<E, aggregation>)
    return std::array{std::pair{"attention", aggregation::attention},
                      std::pair{"mean", aggregation::mean}};
  else if constexpr (std::is_same_v<E, clip_mode>)
    return std::array{std::pair{"per-tensor", clip_mode::per_tensor},
                      std::pair{"global", clip_mode::global}};
  else if constexpr (std::is_same_v<E, grey16>)
    return std::array{std::pair{"clip", grey16::clip}, std::pair{"shift", grey16::shift}};
}

/// Low and high.
using range = std::array<double, 2>;

/// A field as text: numbers shortest, enumerations by their word.
template <class V>
std::string as_text(const V& value) {
  if constexpr (std::is_same_v<V, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<V, range>) {
    return as_text(value[0]) + " " + as_text(value[1]);
  } else if constexpr (std::is_same_v<V, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<V>) {
    for (const auto& [word, e] : words<V>())
      if (e == value) return word;
    return "?";
  } else {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return {buffer, end};
  }
}

struct recipe {
  // what
  method learn = method::selfpatch;
  std::string arch = "vit_small16";
  index depth = 0, table = 0;  ///< 0: the architecture's own

  // how long, how much at a time
  double epochs = 300;
  index steps = 0;       ///< 0: as many as the epochs have
  index batch = 64;      ///< images per step over all processes
  index accumulate = 1;  ///< micro-batches per step
  index lanes = 1;
  std::uint64_t seed = 0;
  std::string init;  ///< weights to start from

  // views
  color_recipe colors = color_recipe::published;
  int global_size = 224, local_size = 96, local_crops = 8;
  range global_scale{0.25, 1}, local_scale{0.05, 0.25};  ///< share of the picture's area in a crop
  bool exif = false;
  selfpatch::grey16 grey16 = grey16::clip;
  int cache_side = 0;  ///< shorter sides above this are reduced once, when decoded; 0: never

  // SelfPatch
  index k = 4, radius = 1;
  selfpatch::border edge = border::torus;
  double patch_weight = 0.1;
  bool include_self = false;
  aggregation aggregate = aggregation::attention;
  selfpatch::patch_views patch_views = selfpatch::patch_views::all;

  // heads
  index out_dim = 65536, patch_out_dim = 4096, head_hidden = 2048, head_bottleneck = 256;
  bool norm_last_layer = true;

  // optimization
  double lr = 5e-4;  ///< for a batch of 256
  double min_lr = 1e-6;
  double warmup_epochs = 10;
  double weight_decay = 0.04, weight_decay_end = 0.4;
  double momentum = 0.996, momentum_end = 1;
  double teacher_temp = 0.04, warmup_teacher_temp = 0.04, warmup_teacher_temp_epochs = 0;
  double patch_teacher_temp = 0;  ///< 0: as teacher_temp
  double clip = 3;
  clip_mode clipping = clip_mode::per_tensor;
  double freeze_last_layer = 1;
  double drop_path = 0.1;

  /// f(name, field, help) for every field, names as options spell them.
  template <class Self, class F>
  static void visit(Self& r, const F& f) {
    f("method", r.learn, "selfpatch, or dino: the same parts without the patch term");
    f("arch", r.arch, "architecture, see --help");
    f("depth", r.depth, "blocks; 0: the architecture's own");
    f("table", r.table, "side of the position table; 0: that of the global crops");
    f("epochs", r.epochs, "passes over the data");
    f("steps", r.steps, "length of the run in steps, instead of epochs");
    f("batch", r.batch, "images per step, of all processes together");
    f("accumulate", r.accumulate, "micro-batches per step: the same result in less memory");
    f("seed", r.seed, "everything random follows from it");
    f("init", r.init, "start from these backbone weights (safetensors: ours, DINO's, timm's)");
    f("colors", r.colors, "published: jitter, blur, solarize; mild: for small crops");
    f("global-size", r.global_size, "side of the two global crops, pixels");
    f("local-size", r.local_size, "side of the local crops, pixels");
    f("local-crops", r.local_crops, "local crops per image");
    f("global-scale", r.global_scale, "share of the picture in a global crop, from and to");
    f("local-scale", r.local_scale, "share of the picture in a local crop, from and to");
    f("exif", r.exif, "turn pictures as their EXIF data say (the published code does not)");
    f("grey16", r.grey16, "16-bit grey: clip at 255 as published, or shift to the high byte");
    f("cache-side", r.cache_side, "reduce shorter sides to this once, when decoded; 0: never");
    f("k", r.k, "neighbors per patch");
    f("radius", r.radius, "of the window: 1 has 8 neighbors, 2 has 24");
    f("border", r.edge, "torus as published, or clamped");
    f("patch-weight", r.patch_weight, "of the patch term in the loss");
    f("include-self", r.include_self, "a patch may be among its own neighbors");
    f("aggregate", r.aggregate, "neighbors are summarized by attention, or by their mean");
    f("patch-views", r.patch_views,
      "crops with a patch term: all as published, or the global ones");
    f("out-dim", r.out_dim, "prototypes of the image term");
    f("patch-out-dim", r.patch_out_dim, "prototypes of the patch term");
    f("head-hidden", r.head_hidden, "width of the projection heads");
    f("head-bottleneck", r.head_bottleneck, "width before the prototypes");
    f("norm-last-layer", r.norm_last_layer, "prototypes keep length 1");
    f("lr", r.lr, "peak learning rate for a batch of 256");
    f("min-lr", r.min_lr, "learning rate at the end");
    f("warmup-epochs", r.warmup_epochs, "epochs of rising learning rate");
    f("weight-decay", r.weight_decay, "at the start");
    f("weight-decay-end", r.weight_decay_end, "at the end");
    f("momentum", r.momentum, "of the teacher, at the start");
    f("momentum-end", r.momentum_end, "at the end");
    f("teacher-temp", r.teacher_temp, "temperature of the teacher");
    f("warmup-teacher-temp", r.warmup_teacher_temp, "at the start");
    f("warmup-teacher-temp-epochs", r.warmup_teacher_temp_epochs, "epochs between the two");
    f("patch-teacher-temp", r.patch_teacher_temp, "of the patch term; 0: the same");
    f("clip", r.clip, "longest gradient; 0: any");
    f("clip-mode", r.clipping, "per-tensor as published, or global");
    f("freeze-last-layer", r.freeze_last_layer, "epochs in which prototypes stay");
    f("drop-path", r.drop_path, "rate of stochastic depth in the last block");
    f("lanes", r.lanes, "parts of a batch that are summed in fixed order");
  }

  /// The fields as text, in order.
  std::vector<std::pair<std::string, std::string>> text() const {
    std::vector<std::pair<std::string, std::string>> all;
    visit(*this, [&](const char* name, const auto& field, const char*) {
      all.emplace_back(name, as_text(field));
    });
    return all;
  }

  /// The name of what is trained: DINO's backbones have names of their own.
  std::string backbone_name() const {
    return learn == method::dino && arch.starts_with("vit_") ? "dino_" + arch.substr(4) : arch;
  }

  multi_crop views() const;
  step_config step() const;
  network_config network(const vit_config& arch) const;
  schedule schedule_for(index steps_per_epoch) const;
  void check(const vit_config& arch) const;
};

inline multi_crop recipe::views() const {
  multi_crop v = colors == color_recipe::mild ? small_crops() : multi_crop{};
  v.locals = local_crops;
  v.global1.size = v.global2.size = global_size;
  v.local.size = local_size;
  for (auto* g : {&v.global1, &v.global2}) {
    g->area_low = global_scale[0];
    g->area_high = global_scale[1];
  }
  v.local.area_low = local_scale[0];
  v.local.area_high = local_scale[1];
  return v;
}

inline step_config recipe::step() const {
  return {.patches =
              {.neighbors = {.k = k, .radius = radius, .edge = edge, .include_self = include_self},
               .how = aggregate,
               .local_views = patch_views == selfpatch::patch_views::all},
          .patch_weight = patch_weight,
          .clip = clip,
          .clipping = clipping};
}

inline network_config recipe::network(const vit_config& c) const {
  return {.depth = depth ? depth : c.depth,
          .table = table ? table : global_size / c.patch,
          .image_head = {head_hidden, head_bottleneck, out_dim, norm_last_layer},
          .patch_head = {head_hidden, head_bottleneck, patch_out_dim, norm_last_layer}};
}

inline schedule recipe::schedule_for(index steps_per_epoch) const {
  const index total = steps > 0 ? steps : index(std::llround(epochs * double(steps_per_epoch)));
  const double per_epoch =
      double(total) / epochs;  // steps_per_epoch, unless the length is given otherwise
  const auto in_steps = [&](double e) {
    return std::min(total, index(std::llround(e * per_epoch)));
  };
  return {.steps = total,
          .steps_per_epoch = std::max<index>(1, index(std::llround(per_epoch))),
          .warmup_steps = in_steps(warmup_epochs),
          .frozen_steps = in_steps(freeze_last_layer),
          .peak_lr = lr * double(batch) / 256,
          .min_lr = min_lr,
          .weight_decay = weight_decay,
          .weight_decay_end = weight_decay_end,
          .momentum = momentum,
          .momentum_end = momentum_end,
          .temperature = teacher_temp,
          .warmup_temperature = warmup_teacher_temp,
          .temperature_epochs = index(std::llround(warmup_teacher_temp_epochs)),
          .patch_temperature = patch_teacher_temp};
}

/// Throws for the first field that makes no sense, naming its option.
inline void recipe::check(const vit_config& c) const {
  const auto demand = [](bool holds, const char* option, std::string expected, std::string found,
                         const char* hint = "") {
    if (!holds)
      throw error(problem{.what = option,
                          .expected = std::move(expected),
                          .found = std::move(found),
                          .hint = hint});
  };
  const auto positive = [&](const char* option, auto value) {
    demand(value > 0, option, "more than 0", as_text(value));
  };
  positive("--batch", batch);
  positive("--accumulate", accumulate);
  positive("--epochs", epochs);
  positive("--global-size", global_size);
  positive("--local-size", local_size);
  positive("--teacher-temp", teacher_temp);
  positive("--warmup-teacher-temp", warmup_teacher_temp);
  for (const auto& [option, value] :
       {std::pair{"--out-dim", out_dim}, std::pair{"--patch-out-dim", patch_out_dim},
        std::pair{"--head-hidden", head_hidden}, std::pair{"--head-bottleneck", head_bottleneck}})
    positive(option, value);
  demand(epochs <= 1e6, "--epochs", "at most 1e6", as_text(epochs));
  for (const auto& [option, value] :
       {std::pair{"--steps", steps}, std::pair{"--depth", depth}, std::pair{"--table", table},
        std::pair{"--local-crops", index(local_crops)},
        std::pair{"--cache-side", index(cache_side)}})
    demand(value >= 0, option, "0 or more", as_text(value));
  for (const auto& [option, value] :
       {std::pair{"--lr", lr}, std::pair{"--min-lr", min_lr},
        std::pair{"--warmup-epochs", warmup_epochs}, std::pair{"--weight-decay", weight_decay},
        std::pair{"--weight-decay-end", weight_decay_end},
        std::pair{"--patch-weight", patch_weight},
        std::pair{"--patch-teacher-temp", patch_teacher_temp}, std::pair{"--clip", clip},
        std::pair{"--freeze-last-layer", freeze_last_layer},
        std::pair{"--warmup-teacher-temp-epochs", warmup_teacher_temp_epochs}})
    demand(value >= 0 && value <= 1e6, option, "0 to 1e6", as_text(value));
  demand(batch % accumulate == 0, "--accumulate", "a divisor of --batch " + as_text(batch),
         as_text(accumulate));
  demand(drop_path >= 0 && drop_path < 1, "--drop-path", "0 to less than 1", as_text(drop_path));
  demand(momentum >= 0 && momentum <= 1, "--momentum", "0 to 1", as_text(momentum));
  demand(momentum_end >= 0 && momentum_end <= 1, "--momentum-end", "0 to 1", as_text(momentum_end));
  for (const auto& [option, s] :
       {std::pair{"--global-scale", global_scale}, std::pair{"--local-scale", local_scale}})
    demand(s[0] > 0 && s[0] <= s[1] && s[1] <= 1, option, "two shares, 0 < from <= to <= 1",
           as_text(s));
  for (const auto& [option, side] :
       {std::pair{"--global-size", global_size}, std::pair{"--local-size", local_size}})
    demand(side % c.patch == 0, option, "a multiple of the patch, " + as_text(c.patch),
           as_text(side));
  const neighborhood n{.k = k, .radius = radius, .edge = edge, .include_self = include_self};
  demand(radius == 1 || radius == 2, "--radius", "1 or 2", as_text(radius));
  demand(k >= 1 && k <= n.window(), "--k",
         "1.." + as_text(n.window()) + " for --radius " + as_text(radius), as_text(k));
  demand(lanes == 1, "--lanes", "1", as_text(lanes),
         "more lanes need several processes, which this build has not");
}

/// Presets by name, applied to the defaults; "" is the published recipe itself.
struct preset {
  const char* name;
  const char* what;
  void (*apply)(recipe&);
};

namespace detail {

/// Small crops, small heads and a teacher that can follow within minutes.
inline void small_scale(recipe& r) {
  r.arch = "vit_nano8";
  r.batch = 16;
  r.colors = color_recipe::mild;
  r.global_size = 48;
  r.local_size = 24;
  r.local_crops = 4;
  r.edge = border::clamped;
  r.out_dim = 512;
  r.patch_out_dim = 256;
  r.head_hidden = 256;
  r.head_bottleneck = 64;
  r.lr = 0.048;  // 3e-3 at batch 16
  r.min_lr = 1e-5;
  r.epochs = 10;
  r.warmup_epochs = 1;
  r.freeze_last_layer = 0.5;
  r.weight_decay_end = 0.04;
  r.momentum = 0.99;
  r.momentum_end = 0.999;
  r.teacher_temp = r.warmup_teacher_temp = 0.03;
  r.aggregate = aggregation::mean;  // docs/decisions/021
  r.patch_teacher_temp = 0.088;
  r.drop_path = 0;
}

inline void photos(recipe& r) {
  small_scale(r);
  r.teacher_temp = r.warmup_teacher_temp = 0.02;
  r.cache_side = 112;
}

/// The published recipe for one machine: the teacher's memory fits a short run, prototypes fit
/// thousands of images.
inline void workstation(recipe& r) {
  r.arch = "vit_tiny16";
  r.batch = 8;
  r.epochs = 100;
  r.out_dim = 4096;
  r.patch_out_dim = 1024;
  r.lr = 0.008;  // 2.5e-4 at batch 8
  r.momentum = 0.99;
  r.momentum_end = 0.999;
  // 0.015 from the start narrowed to few prototypes, 0.03 to the end went uniform: docs/runs.md
  r.warmup_teacher_temp = 0.03;
  r.teacher_temp = 0.02;
  r.warmup_teacher_temp_epochs = 30;
  r.patch_teacher_temp = 0.03;
}

}  // namespace detail

/// demo: generated scenes in minutes; photos: a few thousand own pictures, CPU; workstation: full
/// crops, one machine.
inline constexpr std::array presets{
    preset{"published", "the published recipe (the default)", [](recipe&) {}},
    preset{"demo", "generated scenes, minutes on two cores", detail::small_scale},
    preset{"photos", "some thousand own pictures, an hour on two cores", detail::photos},
    preset{"workstation", "full-size crops on one machine, a night or more", detail::workstation}};

inline const preset& find_preset(std::string_view name) {
  std::string known;
  for (const auto& p : presets) {
    if (p.name == name) return p;
    known.append(known.empty() ? "" : ", ").append(p.name);
  }
  throw error(
      problem{.what = "--preset", .expected = "one of " + known, .found = std::string(name)});
}

}  // namespace selfpatch
