// snapshot: what a network sees at one moment of a run: the neighbors it chooses in a few pictures,
// its tokens as colors and, where masks exist, the measures of neighbors.hpp. A run keeps one at
// its start, in the middle and at its end; each is a small file in RUN/snapshots, so that a resumed
// run still has them for its report.
//
//   const gallery fixed = scene_gallery(seed, 100, input, neighborhood{});
//   save_snapshot(run, take_snapshot(fixed, tokens, {.label = "untrained"}));
//
// The pictures and the patches drawn are chosen by their number, before any network has seen them.
#pragma once

#include <selfpatch/eval/features.hpp>
#include <selfpatch/eval/floors.hpp>
#include <selfpatch/eval/neighbors.hpp>
#include <selfpatch/eval/pca.hpp>
#include <selfpatch/eval/query_patches.hpp>
#include <selfpatch/io/safetensors.hpp>

#include <charconv>
#include <filesystem>
#include <string>
#include <vector>

namespace selfpatch {

struct gallery_picture {
  std::string name;
  image picture;            ///< prepared for the network
  std::vector<int> labels;  ///< of its patches; empty where there are no masks
  bool shown = true;        ///< drawn, not only judged
};

/// Pictures to look at again and again.
struct gallery {
  network_input input{};
  neighborhood which{};
  std::vector<gallery_picture> pictures{};  ///< those with labels are judged
  std::size_t queries = 2;                  ///< patches drawn of each
};

/// Generated scenes, prepared and with the objects of their patches, the first `shown` drawn. Take
/// a seed that is not trained on.
inline gallery scene_gallery(std::uint64_t seed, index count, index shown, const network_input& in,
                             const neighborhood& which) {
  gallery g{.input = in, .which = which};
  for (index i = 0; i < count; ++i) {
    const scene s = make_scene(seed, i);
    image mask(s.picture.width, s.picture.height, 1);
    mask.pixels = s.instances;
    g.pictures.push_back({"scene " + std::to_string(i), prepared(s.picture, in),
                          patch_labels(prepared_labels(mask, s.picture, in), in.patch), i < shown});
  }
  return g;
}

/// `count` pictures of a source at even distances; those that cannot be read are left out.
inline gallery source_gallery(const source& from, index count, const network_input& in,
                              const neighborhood& which) {
  gallery g{.input = in, .which = which};
  count = std::min(count, from.size());
  for (index i = 0; i < count; ++i) {
    const index at = i * from.size() / count;
    try {
      g.pictures.push_back({from.name(at), prepared(from.picture(at), in), {}, true});
    } catch (const error&) {
      continue;
    }
  }
  return g;
}

/// A patch, where its neighbors may lie, and which were chosen.
struct drawn_query {
  enum mark : std::uint8_t { right, wrong, unknown };

  index patch = 0;
  std::vector<std::int32_t> candidates, chosen;
  std::vector<std::uint8_t> marks;  ///< of the chosen ones
};

struct drawn_picture {
  std::string name;
  image picture;
  grid on;
  image colors;  ///< its tokens, one pixel a patch; components and scale are those of all pictures
  std::vector<drawn_query> queries;
};

/// The measures as they are shown; NaN where there was nothing to measure.
struct neighbor_figures {
  double pictures = 0;
  double share = NAN, boundary = NAN, boundary_error = NAN, auc = NAN, auc_error = NAN;
  double chance = NAN, ceiling = NAN;  ///< of `boundary`

  static neighbor_figures of(const neighbor_score& s) {
    return {double(s.pictures()),
            s.share.value(),
            s.share_boundary.value(),
            s.share_boundary.standard_error(),
            s.auc.value(),
            s.auc.standard_error(),
            s.chance_boundary.value(),
            s.ceiling_boundary.value()};
  }
};

struct snapshot {
  std::string label;  ///< "untrained", "half way", "trained"
  index step = 0, images = 0;
  index radius = 1;
  double color_share = 0;  ///< of the variance of the tokens, in the three components shown
  neighbor_figures network{}, mean_color{}, pixels{};
  std::vector<drawn_picture> pictures{};
};

namespace detail {

inline std::vector<drawn_query> draw_queries(const gallery_picture& p, const patch_tokens& tokens,
                                             const gallery& from) {
  const std::vector<int> one_object(std::size_t(tokens.on.size()), 0);
  const auto judged = judge_patches(rows(tokens.x), tokens.on, from.which,
                                    p.labels.empty() ? one_object : p.labels);
  std::vector<drawn_query> drawn;
  for (const index i :
       query_patches(p.picture, from.input.patch, from.which, p.labels, from.queries)) {
    const judged_patch& j = judged[std::size_t(i)];
    drawn_query q{i, j.candidates, j.chosen, {}};
    for (const std::int32_t c : j.chosen)
      q.marks.push_back(p.labels.empty() ? drawn_query::unknown
                        : p.labels[std::size_t(c)] == p.labels[std::size_t(i)]
                            ? drawn_query::right
                            : drawn_query::wrong);
    drawn.push_back(std::move(q));
  }
  return drawn;
}

/// Colors of all pictures, fitted together on tokens of length 1.
inline void color_together(std::vector<patch_tokens>& tokens, snapshot& s) {
  index count = 0;
  for (const patch_tokens& t : tokens) count += t.on.size();
  if (count == 0) return;
  patch_matrix all(shape<dyn, dyn>(count, tokens.front().x.extent(1)), uninitialized);
  float* out = all.data();
  for (patch_tokens& t : tokens) {
    normalize_rows(t.x);
    out = std::copy(t.x.values().begin(), t.x.values().end(), out);
  }
  const principal_components fit = fit_pca(rows(std::as_const(all)));
  s.color_share = fit.share();
  const color_scale scale = color_scale::of(fit.project(rows(std::as_const(all))));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    s.pictures[i].colors =
        pca_picture(fit.project(rows(std::as_const(tokens[i].x))), tokens[i].on, scale);
}

}  // namespace detail

/// Looks at a gallery with a network: tokens(prepared picture) -> patch_tokens. `about` brings
/// label, step and images; `score` gets the measures picture by picture.
template <class Tokens>
snapshot take_snapshot(const gallery& from, const Tokens& tokens, snapshot about,
                       neighbor_score* score = nullptr) {
  neighbor_score network(from.which), color(from.which), pixels(from.which);
  std::vector<patch_tokens> kept;
  const int patch = from.input.patch;
  about.radius = from.which.radius;
  for (const gallery_picture& p : from.pictures) {
    if (!p.shown && p.labels.empty()) continue;
    patch_tokens t = tokens(p.picture);
    if (!p.labels.empty()) {
      network.add(rows(std::as_const(t.x)), t.on, p.labels);
      const auto mean = mean_color_features(p.picture, patch, from.input.normalization);
      const auto all = pixel_features(p.picture, patch, from.input.normalization);
      color.add(rows(mean), t.on, p.labels);
      pixels.add(rows(all), t.on, p.labels);
    }
    if (!p.shown) continue;
    about.pictures.push_back(
        {p.name, p.picture, t.on, {}, detail::draw_queries(p, std::as_const(t), from)});
    kept.push_back(std::move(t));
  }
  detail::color_together(kept, about);
  about.network = neighbor_figures::of(network);
  about.mean_color = neighbor_figures::of(color);
  about.pixels = neighbor_figures::of(pixels);
  if (score) *score = std::move(network);
  return about;
}

}  // namespace selfpatch
