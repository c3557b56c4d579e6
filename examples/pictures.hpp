// pictures: what the programs that look at pictures share: names on the command line as a source,
// label maps beside them, and a backbone of any type as a function from pictures to tokens.
#pragma once

#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/open_source.hpp>
#include <selfpatch/eval/features.hpp>
#include <selfpatch/eval/snapshot_file.hpp>

#include "models.hpp"
#include "programs.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace programs {

/// What was named on the command line, picture by picture.
struct named_pictures {
  struct item {
    std::string relative;  ///< below the folder that was named
    std::optional<std::pair<std::uint64_t, sp::index>>
        scene;  ///< seed and number, for generated ones
  };

  sp::source from;
  std::vector<item> items;
};

namespace detail {

inline bool is_picture_file(const std::string& what) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(what, ignored) && sp::detail::is_picture_name(what);
}

inline std::uint64_t scenes_seed(std::string_view what) {
  const std::size_t colon = what.rfind(':');
  std::uint64_t seed = 0;
  if (colon > 6) std::from_chars(what.data() + colon + 1, what.data() + what.size(), seed);
  return seed;
}

}  // namespace detail

/// Picture files, folders, lists, shards, scenes:N[:SEED]; at least one.
inline named_pictures open_pictures(const std::vector<std::string>& what,
                                    const sp::decode_options& options) {
  std::vector<sp::source> parts;
  std::vector<named_pictures::item> items;
  for (const std::string& one : what) {
    if (detail::is_picture_file(one)) {
      parts.push_back(
          sp::file_source{.root = "", .paths = {one}, .decode = sp::decode, .options = options});
      items.push_back({std::filesystem::path(one).filename().string(), {}});
      continue;
    }
    const sp::source part = sp::open_source(one, sp::decode, options);
    const bool scenes = one.starts_with("scenes:");
    for (sp::index i = 0; i < part.size(); ++i) {
      std::string name = part.name(i);
      if (!scenes && name.starts_with(one)) name.erase(0, name.find_first_not_of('/', one.size()));
      items.push_back({std::move(name), {}});
      if (scenes) items.back().scene = {detail::scenes_seed(one), i};
    }
    parts.push_back(part);
  }
  return {sp::mixed_source(std::move(parts)), std::move(items)};
}

/// The folder of label maps that goes with pictures: FOLDER/NAME.png for NAME.jpg.
struct label_folder {
  std::string root;  ///< empty: only generated scenes have masks
  int ignored = -1;  ///< the value of pixels that count for nothing

  /// Labels of the patches of picture i as the network sees it; empty where there is no mask.
  std::vector<int> labels(const named_pictures& of, sp::index i, const sp::image& original,
                          const sp::network_input& in) const {
    const auto& item = of.items[std::size_t(i)];
    if (item.scene) {
      const sp::scene s = sp::make_scene(item.scene->first, item.scene->second);
      sp::image map(s.picture.width, s.picture.height, 1);
      map.pixels = s.instances;
      return sp::patch_labels(sp::prepared_labels(map, original, in), in.patch);
    }
    if (root.empty()) return {};
    const std::filesystem::path file =
        std::filesystem::path(root) /
        std::filesystem::path(item.relative).replace_extension(".png");
    const sp::image map = sp::detail::naming(sp::printable(file.string()), [&] {
      return sp::decode(sp::read_file(file.string()), {.labels = true});
    });
    return sp::patch_labels(sp::prepared_labels(map, original, in), in.patch, ignored);
  }
};

/// "640x480".
inline std::pair<int, int> parse_size(const std::string& text) {
  const std::size_t x = text.find('x');
  const auto side = [&](std::string_view digits) {
    int value = 0;
    const auto [stop, status] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = status == std::errc() && stop == digits.data() + digits.size();
    return whole && value > 0 && value <= 16384 ? value : 0;
  };
  const std::string_view all = text;
  const int width = side(all.substr(0, x)),
            height = x == text.npos ? width : side(all.substr(x + 1));
  if (width == 0 || height == 0)
    throw sp::error(
        sp::problem{.what = "--size", .expected = "WIDTHxHEIGHT, as 320x240", .found = text});
  return {width, height};
}

/// Options that say how pictures become what a backbone sees.
struct input_options {
  std::string size;
  int longest = 0;
  sp::index most_patches = 16384;
  sp::decode_options decode;

  void define(CLI::App& app) {
    app.add_option("--size", size,
                   "WxH that pictures are resized to; without it they keep their size");
    app.add_option("--longest", longest, "longer sides are reduced to this, in proportion")
        ->check(CLI::Range(1, 65535));
    app.add_option("--max-pixels", decode.max_pixels, "larger pictures are refused")
        ->capture_default_str();
    app.add_option("--max-patches", most_patches, "pictures of more are refused")
        ->capture_default_str();
    app.add_flag("--exif", decode.exif, "turn pictures as their EXIF orientation says");
  }

  sp::network_input of(const sp::any_backbone& b) const {
    sp::network_input in{.normalization = {b.mean, b.deviation},
                         .channels = int(b.config().channels),
                         .patch = int(b.config().patch),
                         .longest = longest,
                         .most_patches = most_patches};
    if (!size.empty()) std::tie(in.width, in.height) = parse_size(size);
    return in;
  }
};

/// A function from a prepared picture to the tokens of its patches.
inline auto patch_reader(const sp::any_backbone& b, const sp::network_input& in) {
  return [&b, in](const sp::image& p) {
    const auto tokens = b.tokens(sp::batch_of(std::span(&p, 1), in.normalization));
    return sp::patches_of(sp::tokens_of_image(tokens.back(), 0), in.grid_of(p));
  };
}

/// What a run looks at to show what it learns: where it trains on generated scenes, others of them,
/// with masks; else some of its own pictures.
inline sp::gallery run_gallery(const std::vector<std::string>& data, const sp::source& pictures,
                               const sp::any_backbone& b, const sp::neighborhood& which,
                               sp::index judged = 200, sp::index shown = 8) {
  input_options sizes;
  sizes.longest = int(28 * b.config().patch);
  const sp::network_input in = sizes.of(b);
  std::uint64_t unused_seed = 0;
  bool scenes = true;
  for (const std::string& one : data) {
    scenes = scenes && one.starts_with("scenes:");
    if (scenes) unused_seed = std::max(unused_seed, detail::scenes_seed(one) + 1);
  }
  return scenes ? sp::scene_gallery(unused_seed, judged, shown, in, which)
                : sp::source_gallery(pictures, shown, in, which);
}

/// Looks at the gallery and keeps what is seen in RUN/snapshots.
inline void keep_snapshot(const std::filesystem::path& run, const sp::gallery& from,
                          const sp::any_backbone& b, const std::string& label, sp::index step,
                          sp::index images) {
  sp::save_snapshot(run, sp::take_snapshot(from, patch_reader(b, from.input),
                                           {.label = label, .step = step, .images = images}));
}

/// One line a minute on stderr while something goes on.
class minute_ticker {
 public:
  minute_ticker(bool quiet, const char* program, sp::index count)
      : quiet_(quiet), program_(program), count_(count), last_(std::chrono::steady_clock::now()) {}

  void done(sp::index so_far) {
    const auto now = std::chrono::steady_clock::now();
    if (quiet_ || now - last_ < std::chrono::minutes(1)) return;
    last_ = now;
    std::fprintf(stderr, "%s: %td of %td\n", program_, so_far, count_);
  }

 private:
  bool quiet_;
  const char* program_;
  sp::index count_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace programs
