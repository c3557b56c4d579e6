// parity_odd: unusual and broken data against what is to become of it. A folder with expect.json
// holds, and says in it,
//
//   "files"                  pictures, to be decoded to these pixels, refused, or survived
//   "files" with "samples"   shards, to give these samples, be refused, or survived
//   "classes"                root/, a class tree to be listed as these classes and samples
#pragma once

#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/open_source.hpp>

#include "parity_files.hpp"
#include "parity_report.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace parity {

namespace detail {

inline std::string hash_of(const sp::image& p) {
  sha256 sum;
  sum.add(p.pixels.data(), p.bytes());
  return sum.hex();
}

/// Largest difference from the recorded means over a raster of blocks.
inline double grid_difference(const sp::image& p, const json& grid) {
  double worst = 0;
  const int rows = int(grid.size());
  for (int i = 0; i < rows; ++i) {
    const int cols = int(grid[std::size_t(i)].size());
    for (int j = 0; j < cols; ++j) {
      const int y0 = i * p.height / rows, y1 = (i + 1) * p.height / rows;
      const int x0 = j * p.width / cols, x1 = (j + 1) * p.width / cols;
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int y = y0; y < y1; ++y)
          for (int x = x0; x < x1; ++x) sum += p.row(y)[3 * x + c];
        const double mean = sum / std::max(1, (y1 - y0) * (x1 - x0));
        const double d =
            std::abs(mean - grid[std::size_t(i)][std::size_t(j)][std::size_t(c)].get<double>());
        worst = d <= worst ? worst : d;
      }
    }
  }
  return worst;
}

/// The picture, or why not.
struct attempt {
  std::optional<sp::image> picture;
  std::string refusal;
};
inline attempt try_decode(const path& file, const sp::decode_options& options = {}) {
  try {
    return {sp::decode(sp::read_file(file.string()), options), ""};
  } catch (const sp::error& e) {
    return {{}, e.what()};
  }
}

inline void check_hash(const std::string& name, const path& file, const sp::decode_options& options,
                       const std::string& expected, report& r) {
  const attempt made = try_decode(file, options);
  r.exact(name, made.picture && hash_of(*made.picture) == expected ? 0 : 1, 1,
          made.picture ? "other pixels, " + sp::dimensions(*made.picture) : made.refusal);
}

/// Exact pixels, or, for a JPEG decoded by another inverse transform, block means within 2 levels.
inline void check_pixels(const std::string& name, const sp::image& p, const json& c, report& r) {
  if (p.width != c.at("width").get<int>() || p.height != c.at("height").get<int>())
    r.exact(name, 1, 1, "decoded as " + sp::dimensions(p));
  else if (hash_of(p) == c.at("rgb_sha256").get<std::string>())
    r.exact(name, 0, p.bytes());
  else if (c.value("exact", false) || !c.contains("grid"))
    r.exact(name, 1, 1, "other pixels");
  else
    r.quantity(name, grid_difference(p, c.at("grid")), 2, "close, but not these bytes");
}

inline void check_odd_picture(const path& dir, const json& c, const std::string& name, report& r) {
  const path file = dir / c.at("file").get<std::string>();
  const std::string outcome = c.at("outcome");
  const attempt made = try_decode(file);
  if (outcome == "reject") {
    r.exact(name, made.picture ? 1 : 0, 1,
            made.picture ? "decoded, but must be refused" : made.refusal);
  } else if (!made.picture) {
    r.exact(name, outcome == "decode" ? 1 : 0, 1, made.refusal);
  } else if (outcome == "survive") {
    const auto& p = *made.picture;
    const bool as_declared =
        !c.contains("width") || (p.width == c.at("width") && p.height == c.at("height"));
    r.exact(name, as_declared ? 0 : 1, 1, "decoded as " + sp::dimensions(p));
  } else {
    check_pixels(name, *made.picture, c, r);
  }
  if (c.contains("oriented"))
    check_hash(name + " oriented", file, {.exif = true}, c.at("oriented").at("rgb_sha256"), r);
  if (c.contains("shift_rgb_sha256"))
    check_hash(name + " shifted", file, {.grey16 = sp::grey16::shift}, c.at("shift_rgb_sha256"), r);
  if (c.contains("index_sha256"))
    check_hash(name + " as labels", file, {.labels = true}, c.at("index_sha256"), r);
}

/// The samples of a shard whose pictures decode, as the record writes them.
inline json list_samples(const sp::tar_source& shard) {
  json listed = json::array();
  for (sp::index i = 0; i < shard.size(); ++i) {
    const sp::tar_sample& s = shard.contents().samples[std::size_t(i)];
    try {
      shard.picture(i);
    } catch (const sp::error&) {
      continue;
    }
    listed.push_back({s.key, s.suffix, s.label == sp::no_label ? json() : json(s.label)});
  }
  return listed;
}

inline void check_odd_shard(const path& dir, const json& c, const std::string& name, report& r) {
  const std::string outcome = c.at("outcome");
  try {
    const sp::tar_source shard((dir / c.at("file").get<std::string>()).string(), sp::decode, {});
    const json listed = list_samples(shard);
    const bool told = outcome != "survive" || !shard.warnings().empty();
    const bool right = outcome != "reject" && told && listed == c.at("samples");
    r.exact(name, right ? 0 : 1, 1, told ? "samples " + listed.dump() : "damage not reported");
  } catch (const sp::error& e) {
    r.exact(name, outcome == "decode" ? 1 : 0, 1, e.what());
  }
}

inline void check_odd_tree(const path& dir, const json& expected, const std::string& name,
                           report& r) {
  const sp::class_folders tree = sp::open_classes((dir / "root").string(), sp::decode);
  r.exact(name + "/classes", json(tree.classes) == expected.at("classes") ? 0 : 1,
          tree.classes.size(), json(tree.classes).dump());
  json listed = json::array();
  std::size_t unreadable = 0;
  for (sp::index i = 0; i < tree.pictures.size(); ++i) {
    listed.push_back({tree.pictures.paths[std::size_t(i)], tree.pictures.label(i)});
    try {
      tree.pictures.picture(i);
    } catch (const sp::error&) {
      ++unreadable;
    }
  }
  r.exact(name + "/samples", listed == expected.at("samples") ? 0 : 1, listed.size(),
          std::to_string(unreadable) + " unreadable; " + listed.dump());
}

inline void check_odd_folder(const path& dir, report& r) {
  const json expected = read_json(dir / "expect.json");
  const std::string name = folder_name(dir);
  if (expected.contains("classes")) return check_odd_tree(dir, expected, name, r);
  for (const json& c : expected.at("files")) {
    const std::string row = name + "/" + c.at("file").get<std::string>();
    c.contains("samples") ? check_odd_shard(dir, c, row, r) : check_odd_picture(dir, c, row, r);
  }
}

}  // namespace detail

/// Everything in a folder with an expect.json. Throws selfpatch::error where the folder itself is
/// damaged.
inline void check_odd(const path& dir, report& r) {
  detail::explaining(dir, [&] { detail::check_odd_folder(dir, r); });
}

}  // namespace parity
