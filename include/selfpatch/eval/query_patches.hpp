// query_patches: which patches of a picture are worth looking at: those at borders of objects,
// where a choice of neighbors can be wrong. They are chosen before any network has seen the
// picture, so a gallery shows failures too.
#pragma once

#include <selfpatch/eval/floors.hpp>
#include <selfpatch/eval/neighbors.hpp>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <vector>

namespace selfpatch {

namespace detail {

/// Patches with candidates on their own object and on another, in order.
inline std::vector<index> border_patches(grid g, const neighbor_table& table,
                                         std::span<const int> labels) {
  std::vector<index> found;
  for (index i = 0; i < g.size(); ++i) {
    index own = 0, others = 0;
    for (index m = 0; m < table.width && table.row(i)[m] >= 0; ++m) {
      const int label = labels[std::size_t(table.row(i)[m])];
      if (label != no_object) ++(label == labels[std::size_t(i)] ? own : others);
    }
    if (labels[std::size_t(i)] != no_object && own > 0 && others > 0) found.push_back(i);
  }
  return found;
}

/// How much the mean colors of the candidates of each patch differ from its own.
inline std::vector<float> edge_strengths(const image& p, int patch, grid g,
                                         const neighbor_table& table) {
  const patch_matrix color = mean_color_features(p, patch);
  std::vector<float> strength(static_cast<std::size_t>(g.size()));
  for (index i = 0; i < g.size(); ++i)
    for (index m = 0; m < table.width && table.row(i)[m] >= 0; ++m)
      for (index c = 0; c < color.extent(1); ++c) {
        const float d = rows(color).row(table.row(i)[m])[c] - rows(color).row(i)[c];
        strength[std::size_t(i)] += d * d;
      }
  return strength;
}

}  // namespace detail

/// At most `count` patches of a picture, none in the window of another. With labels: of those at
/// borders of objects, at even distances in their order. Without: the strongest edge in each of
/// `count` bands of rows. A picture without borders has one, in its middle.
inline std::vector<index> query_patches(const image& p, int patch, const neighborhood& n,
                                        std::span<const int> labels, std::size_t count) {
  const grid g{p.height / patch, p.width / patch};
  const neighbor_table table(g, n);
  std::vector<index> picked;
  const auto take_first = [&](const auto& order) {
    const auto apart = [&](index i) {
      return std::all_of(picked.begin(), picked.end(), [&](index q) {
        return std::max(std::abs(i / g.cols - q / g.cols), std::abs(i % g.cols - q % g.cols)) >
               2 * n.radius;
      });
    };
    const auto at = std::find_if(order.begin(), order.end(), apart);
    if (at != order.end()) picked.push_back(*at);
  };
  std::vector<index> order;
  if (!labels.empty()) {
    const std::vector<index> border = detail::border_patches(g, table, labels);
    for (std::size_t q = 0; q < count; ++q) {
      order = border;
      std::rotate(order.begin(),
                  order.begin() + std::ptrdiff_t(border.size() * (2 * q + 1) / (2 * count)),
                  order.end());
      take_first(order);
    }
  } else {
    const std::vector<float> strength = detail::edge_strengths(p, patch, g, table);
    for (std::size_t q = 0; q < count; ++q) {
      order.clear();
      for (index i = g.rows * index(q) / index(count) * g.cols;
           i < g.rows * index(q + 1) / index(count) * g.cols; ++i)
        order.push_back(i);
      std::stable_sort(order.begin(), order.end(), [&](index a, index b) {
        return strength[std::size_t(a)] > strength[std::size_t(b)];
      });
      take_first(order);
    }
  }
  if (picked.empty()) picked.push_back(g.rows / 2 * g.cols + g.cols / 2);
  return picked;
}

}  // namespace selfpatch
