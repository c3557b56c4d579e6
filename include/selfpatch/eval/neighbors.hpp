// neighbors: do the neighbors that features choose lie on the same object?
//
//   x (N, C)   features of the patches of one picture        label_i   the object of patch i
//   A_i        its candidates in the window, own those with label_j = label_i, other the rest
//
//   share      of the chosen neighbors (the k of A_i with the largest cosines) those that are own
//   boundary   patches with both own and other candidates
//   auc        of all pairs (j own, l other) of a boundary patch those with cos_ij > cos_il;
//              ties count half
//   chance     |own| / |A_i|, what a blind choice gives
//   ceiling    min(k, |own|) / min(k, |A_i|), what the best choice gives
//
// All are means over patches. The share over all patches starts high, since most patches lie inside
// an object: judge by the boundary. The auc does not depend on k; blind is 1/2, perfect is 1.
#pragma once

#include <selfpatch/data/image.hpp>
#include <selfpatch/eval/picture_mean.hpp>
#include <selfpatch/ops/neighbor_topk.hpp>

#include <array>
#include <span>
#include <vector>

namespace selfpatch {

/// The label of a patch that belongs to no object: neither judged nor a candidate.
inline constexpr int no_object = -1;

/// The label most pixels of each patch have, the lower one of equals; no_object where most pixels
/// are `ignored` (-1: no value is). `map` has one channel; what is beyond the last whole patch is
/// left out.
inline std::vector<int> patch_labels(const image& map, int patch, int ignored = -1) {
  expects(map.channels == 1, "patch_labels(map, patch): the map has one channel");
  expects(patch > 0, "patch_labels(map, patch): patch is at least 1");
  const int rows = map.height / patch, cols = map.width / patch;
  std::vector<int> labels;
  labels.reserve(std::size_t(rows) * std::size_t(cols));
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < cols; ++c) {
      std::array<int, 256> pixels{};
      for (int y = 0; y < patch; ++y)
        for (int x = 0; x < patch; ++x) ++pixels[map.row(r * patch + y)[c * patch + x]];
      const int most = int(std::max_element(pixels.begin(), pixels.end()) - pixels.begin());
      labels.push_back(most == ignored ? no_object : most);
    }
  return labels;
}

/// Masks as scenes have them, `width` values a row.
inline std::vector<int> patch_labels(std::span<const std::uint8_t> mask, int width, int patch,
                                     int ignored = -1) {
  image map(width, int(mask.size()) / width, 1);
  expects(map.bytes() == mask.size(), "patch_labels(mask, width, patch): the mask has whole rows");
  std::copy(mask.begin(), mask.end(), map.pixels.begin());
  return patch_labels(map, patch, ignored);
}

/// The candidates of a patch that have an object, and how similar they are.
struct judged_patch {
  std::vector<std::int32_t> candidates;  ///< ascending
  std::vector<float> similarity;
  std::vector<std::int32_t> chosen;  ///< the k best, best first
  index own = 0;                     ///< candidates on the patch's own object
  bool boundary() const { return own > 0 && own < index(candidates.size()); }
};

/// Every patch of a picture with its candidates. Patches without an object have none.
inline std::vector<judged_patch> judge_patches(matrix_view<const float> x, grid g,
                                               const neighborhood& n, std::span<const int> labels) {
  same_extent(g.size(), x.rows, "judge_patches(x, grid, ...): N must be rows * cols of the grid");
  same_extent(g.size(), index(labels.size()), "judge_patches(x, grid, n, labels): a label a patch");
  expects(x.stride == x.cols, "judge_patches(x, ...): the rows of x must follow each other");
  if (n.radius < 1 || n.k < 1 || n.k >= (2 * n.radius + 1) * (2 * n.radius + 1))
    throw error(problem{.what = "k is beyond the window",
                        .expected = "1.." +
                                    std::to_string((2 * n.radius + 1) * (2 * n.radius + 1) - 1) +
                                    " for radius " + std::to_string(n.radius),
                        .found = std::to_string(n.k)});
  using matching = kernel<op::neighbor_topk, reference>;
  const neighbor_table table(g, {n.k, n.radius, n.edge});
  std::vector<float> all(std::size_t(g.size() * table.width)), best(static_cast<std::size_t>(n.k));
  matching::similarities(x.data, 1, x.rows, x.cols, table, all.data());

  std::vector<judged_patch> judged(static_cast<std::size_t>(g.size()));
  for (index i = 0; i < g.size(); ++i) {
    judged_patch& p = judged[std::size_t(i)];
    const int object = labels[std::size_t(i)];
    if (object == no_object) continue;
    for (index m = 0; m < table.width; ++m) {
      const std::int32_t j = table.row(i)[m];
      if (j < 0 || labels[std::size_t(j)] == no_object) continue;
      p.candidates.push_back(j);
      p.similarity.push_back(all[std::size_t(i * table.width + m)]);
      p.own += labels[std::size_t(j)] == object;
    }
    const index M = index(p.candidates.size()), K = std::min(n.k, M);
    p.chosen.resize(std::size_t(K));
    matching::select(p.similarity.data(), p.candidates.data(), M, K, p.chosen.data(), best.data());
  }
  return judged;
}

/// The measures, over pictures.
class neighbor_score {
 public:
  picture_mean share, share_boundary, auc;
  picture_mean chance, chance_boundary, ceiling, ceiling_boundary;

  explicit neighbor_score(const neighborhood& n) : which_(n) {}

  /// One picture: x (N, C), N = rows * cols of the grid, a label per patch.
  void add(matrix_view<const float> x, grid g, std::span<const int> labels) {
    std::array<sums, 2> of{};  // all patches; boundary patches
    double won = 0;
    const auto judged = judge_patches(x, g, which_, labels);
    for (std::size_t i = 0; i < judged.size(); ++i) {
      const judged_patch& p = judged[i];
      if (p.candidates.empty()) continue;
      of[0].add(p, labels[i], labels);
      if (!p.boundary()) continue;
      of[1].add(p, labels[i], labels);
      won += pairs_won(p, labels[i], labels);
    }
    ++pictures_;
    share.add(of[0].own_chosen, of[0].chosen);
    share_boundary.add(of[1].own_chosen, of[1].chosen);
    auc.add(won, of[1].patches);
    chance.add(of[0].chance, of[0].patches);
    chance_boundary.add(of[1].chance, of[1].patches);
    ceiling.add(of[0].best_possible, of[0].chosen);
    ceiling_boundary.add(of[1].best_possible, of[1].chosen);
  }

  index pictures() const { return pictures_; }

 private:
  struct sums {
    double patches = 0, chosen = 0, own_chosen = 0, chance = 0, best_possible = 0;

    void add(const judged_patch& p, int object, std::span<const int> labels) {
      ++patches;
      chosen += double(p.chosen.size());
      for (const std::int32_t j : p.chosen) own_chosen += labels[std::size_t(j)] == object;
      chance += double(p.own) / double(p.candidates.size());
      best_possible += double(std::min(p.own, index(p.chosen.size())));
    }
  };

  /// The share of pairs (own, other) in which the own candidate is more similar.
  static double pairs_won(const judged_patch& p, int object, std::span<const int> labels) {
    double won = 0, pairs = 0;
    for (std::size_t a = 0; a < p.candidates.size(); ++a) {
      if (labels[std::size_t(p.candidates[a])] != object) continue;
      for (std::size_t b = 0; b < p.candidates.size(); ++b) {
        if (labels[std::size_t(p.candidates[b])] == object) continue;
        const float own = p.similarity[a], other = p.similarity[b];
        won += own > other ? 1 : own < other ? 0 : 0.5;
        ++pairs;
      }
    }
    return won / pairs;
  }

  neighborhood which_;
  index pictures_ = 0;
};

}  // namespace selfpatch
