// run_curves: a run's log as plots with the lines of collapse drawn in, and where its time went.
#pragma once

#include <selfpatch/eval/run_log.hpp>
#include <selfpatch/eval/svg.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace selfpatch {

namespace detail {

/// A plot over the steps and what it shows.
struct run_curve {
  struct line {
    const char *label, *key;
  };

  const char *y, *caption;
  std::vector<line> lines;
  std::vector<plot::reference> references{};
  bool log_y = false;
};

/// Empty where none of the columns has a number.
inline std::string plotted(const run_log& log, const run_curve& c) {
  plot p{.x_label = "step",
         .y_label = c.y,
         .references = c.references,
         .log_y = c.log_y,
         .width = 430,
         .height = 210};
  const auto finite = [](double v) { return std::isfinite(v); };
  for (const auto& [label, key] : c.lines) {
    plot::line line{.label = label, .x = log.column("step"), .y = log.column(key)};
    if (std::any_of(line.y.begin(), line.y.end(), finite)) p.lines.push_back(std::move(line));
  }
  return p.lines.empty() ? std::string() : svg(p);
}

/// What the loss is while nothing is taught: ln K.
inline std::vector<plot::reference> uniform_loss(const run_log& log, const char* prototypes) {
  const double K = log.last(prototypes);
  if (!(K > 1)) return {};
  return {{std::log(K), "ln K: uniform"}};
}

/// H and M of a term, between the lines of collapse.
inline run_curve entropies(const char* y, const char* caption, const char* H, const char* M) {
  return {y,
          caption,
          {{"H, teacher", H}, {"M, mean target", M}},
          {{0.98, "above: uniform"}, {0.10, "below: one prototype"}}};
}

inline std::vector<run_curve> loss_curves(const run_log& log) {
  return {{"loss, image",
           "Loss of the image term. Resting at ln K means that nothing is taught.",
           {{"", "loss_image"}},
           uniform_loss(log, "prototypes_image")},
          {"loss, patch",
           "Loss of the patch term.",
           {{"", "loss_patch"}},
           uniform_loss(log, "prototypes_patch")}};
}

/// Whether anything is taught and learned.
inline std::vector<run_curve> health_curves() {
  return {
      entropies("image, share of ln K",
                "Entropies of the image term. What lies between the lines is information.",
                "teacher_entropy_image", "mean_teacher_entropy_image"),
      entropies("patch, share of ln K",
                "Entropies of the patch term, which can die unseen behind its small weight.",
                "teacher_entropy_patch", "mean_teacher_entropy_patch"),
      {"KL, nats",
       "What the student has still to learn of each target.",
       {{"image", "kl_image"}, {"patch", "kl_patch"}}},
      {"spread, similarity",
       "Spread of the tokens: 0 where all are alike. Similarity: mean cosine of chosen neighbors.",
       {{"spread", "feature_std"}, {"similarity", "neighbor_similarity"}},
       {{0.05, "spread below: all tokens alike"}}}};
}

/// How it was done.
inline std::vector<run_curve> running_curves() {
  return {
      {"gradient norm", "Length of the gradient before clipping.", {{"", "grad_norm"}}, {}, true},
      {"learning rate", "Learning rate.", {{"", "lr"}}},
      {"momentum", "Momentum of the teacher.", {{"", "momentum"}}},
      {"temperature",
       "Temperature of the teacher.",
       {{"image", "temperature"}, {"patch", "patch_temperature"}}},
      {"images/s", "Speed.", {{"", "images_per_second"}}},
      {"share", "Share of the time spent waiting for pictures.", {{"", "data_wait"}}}};
}

}  // namespace detail

/// All curves of a run, two side by side, each with what it shows.
inline std::string curves_html(const run_log& log) {
  std::string html = "<div style=\"display:flex;flex-wrap:wrap;gap:0 1rem\">\n";
  const auto add = [&](const std::vector<detail::run_curve>& curves) {
    for (const detail::run_curve& c : curves)
      if (const std::string drawing = detail::plotted(log, c); !drawing.empty())
        html += "<figure style=\"width:430px\">" + drawing + "<figcaption>" + escaped(c.caption) +
                "</figcaption></figure>\n";
  };
  add(detail::loss_curves(log));
  add(detail::health_curves());
  add(detail::running_curves());
  return html + "</div>";
}

/// Seconds by stage: computing and waiting, out of the rates and waits of the intervals, and what
/// else the run measured ("stages" of its end).
inline std::vector<std::pair<std::string, double>> stages_of(const run_log& log) {
  const auto images = log.column("images"), rate = log.column("images_per_second"),
             wait = log.column("data_wait");
  double computing = 0, waiting = 0, before = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const double seconds = (images[i] - before) / rate[i];
    before = images[i];
    if (!std::isfinite(seconds) || seconds < 0) continue;
    const double share = std::isfinite(wait[i]) ? std::clamp(wait[i], 0.0, 1.0) : 0;
    computing += seconds * (1 - share);
    waiting += seconds * share;
  }
  std::vector<std::pair<std::string, double>> all{{"training steps", computing},
                                                  {"waiting for pictures", waiting}};
  if (!log.end()) return all;
  if (const auto more = log.end()->object("stages"))
    for (const auto& f : more->fields())
      if (const auto seconds = more->number(f.key)) all.emplace_back(f.key, *seconds);
  return all;
}

}  // namespace selfpatch
