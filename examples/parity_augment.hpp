// parity_augment: decoding, resizing and augmentation against recorded outputs, byte for byte: a
// folder with cases.json (operations on PNG inputs), tables.json (weights and crop sizes) and
// decode/ (files and their pixels).
#pragma once

#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/multi_crop.hpp>

#include "parity_files.hpp"
#include "parity_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace parity {

namespace detail {

inline sp::image read_picture(const path& name, const sp::decode_options& options = {}) {
  try {
    return sp::decode(sp::read_file(name.string()), options);
  } catch (const sp::error& e) {
    sp::problem p = e.parts;
    if (p.where.empty()) p.where = name.string();
    throw sp::error(p);
  }
}

inline void compare(const std::string& name, const sp::image& made, const sp::image& expected,
                    report& r) {
  if (made.width != expected.width || made.height != expected.height ||
      made.channels != expected.channels) {
    r.exact(name, std::max(made.bytes(), expected.bytes()), expected.bytes(),
            "expected " + sp::dimensions(expected) + ", made " + sp::dimensions(made));
    return;
  }
  std::size_t differing = 0, at = 0;
  int most = 0;
  for (std::size_t i = 0; i < made.bytes(); ++i) {
    const int d = std::abs(int(made.pixels[i]) - int(expected.pixels[i]));
    differing += d != 0;
    if (d > most) most = d, at = i;
  }
  const std::size_t pixel = at / std::size_t(made.channels), width = std::size_t(made.width);
  r.exact(name, differing, made.bytes(),
          "largest difference " + std::to_string(most) + " at (" + std::to_string(pixel % width) +
              ", " + std::to_string(pixel / width) + ")");
}

/// The one float tensor of a safetensors file.
inline std::vector<float> read_only_tensor(const path& name) {
  const auto bytes = sp::read_file(name.string());
  const auto bad = [&] {
    return sp::error(sp::problem{
        .what = "cannot read the tensor", .where = name.string(), .expected = "one F32 tensor"});
  };
  std::uint64_t length = 0;
  if (bytes.size() < 8) throw bad();
  std::memcpy(&length, bytes.data(), 8);
  if (length > bytes.size() - 8) throw bad();
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + 8;
  const json header = json::parse(text, text + length, nullptr, false);
  if (!header.is_object()) throw bad();
  std::vector<float> values((bytes.size() - 8 - std::size_t(length)) / sizeof(float));
  std::memcpy(values.data(), bytes.data() + 8 + length, values.size() * sizeof(float));
  return values;
}

inline sp::jitter_draw read_jitter(const json& j) {
  sp::jitter_draw d;
  for (std::size_t i = 0; i < 4; ++i) d.order[i] = j.at("order").at(i).get<int>();
  d.brightness = j.at("brightness").get<float>();
  d.contrast = j.at("contrast").get<float>();
  d.saturation = j.at("saturation").get<float>();
  d.hue = j.at("hue").get<double>();
  return d;
}

inline sp::box read_box(const json& j) {
  return {j.at("top").get<int>(), j.at("left").get<int>(), j.at("height").get<int>(),
          j.at("width").get<int>()};
}

inline sp::filter read_filter(const json& j) {
  return j.value("filter", "bicubic") == "bilinear" ? sp::filter::bilinear : sp::filter::bicubic;
}

inline sp::image run_pipeline(const sp::image& from, const json& p) {
  sp::view_recipe recipe;
  recipe.size = p.at("size").get<int>();
  sp::view_draw draw;
  draw.part = read_box(p);
  draw.flip = p.at("flip").get<bool>();
  if (!p.at("jitter").is_null()) draw.jitter = read_jitter(p.at("jitter"));
  draw.grey = p.at("grey").get<bool>();
  if (!p.at("blur_radius").is_null()) draw.blur = p.at("blur_radius").get<float>();
  draw.solarize = p.at("solarize").get<bool>();
  return sp::apply_view(from, recipe, draw);
}

inline sp::image run_evaluation(const sp::image& from, const json& p) {
  const sp::image small = sp::resize_shorter(from, p.at("shorter_side").get<int>(), read_filter(p));
  return sp::center_crop(small, p.at("crop").get<int>());
}

/// The operation of a case on its input.
inline sp::image run_case(const std::string& op, sp::image p, const json& params) {
  const auto factor = [&] { return params.at("factor").get<float>(); };
  if (op == "resize_crop")
    return sp::resize(p, read_box(params), params.at("out_width").get<int>(),
                      params.at("out_height").get<int>(), read_filter(params));
  if (op == "resize_bilinear")
    return sp::resize(p, params.at("out_width").get<int>(), params.at("out_height").get<int>(),
                      sp::filter::bilinear);
  if (op.starts_with("pipeline_")) return run_pipeline(p, params);
  if (op == "eval_transform") return run_evaluation(p, params);
  if (op == "flip")
    sp::flip(p);
  else if (op == "grey")
    sp::make_grey(p);
  else if (op == "solarize")
    sp::solarize(p, params.at("threshold").get<int>());
  else if (op == "brightness")
    sp::adjust_brightness(p, factor());
  else if (op == "contrast")
    sp::adjust_contrast(p, factor());
  else if (op == "saturation")
    sp::adjust_saturation(p, factor());
  else if (op == "hue")
    sp::adjust_hue(p, params.at("factor").get<double>());
  else if (op == "blur")
    sp::blur(p, params.at("radius").get<float>());
  else if (op == "jitter")
    sp::detail::apply_jitter(p, read_jitter(params));
  else
    throw sp::error(sp::problem{.what = "unknown operation", .found = op});
  return p;
}

inline void check_normalized(const std::string& name, const sp::image& p, const json& params,
                             const path& expected, double tolerance, report& r) {
  sp::normalization n;
  for (std::size_t c = 0; c < 3; ++c) {
    n.mean[c] = params.at("mean").at(c).get<float>();
    n.deviation[c] = params.at("std").at(c).get<float>();
  }
  std::vector<float> made(p.bytes());
  sp::to_tensor(p, n, made.data());
  const auto want = read_only_tensor(expected);
  double worst = made.size() == want.size() ? 0 : HUGE_VAL;
  std::size_t at = 0;
  for (std::size_t i = 0; i < std::min(made.size(), want.size()); ++i) {
    const double d = std::abs(double(made[i]) - double(want[i]));
    if (!(d <= worst)) worst = d, at = i;
  }
  r.quantity(name, worst, tolerance, "at element " + std::to_string(at));
}

inline void check_cases(const path& dir, report& r) {
  const json all = read_json(dir / "cases.json");
  for (const json& c : all.at("cases")) {
    const std::string op = c.at("op"),
                      name = folder_name(dir) + "/" + c.at("id").get<std::string>();
    const sp::image input = read_picture(dir / c.at("input").get<std::string>());
    const path output = dir / c.at("output").get<std::string>();
    if (op == "to_tensor_normalize")
      check_normalized(name, input, c.at("params"), output, c.at("tolerance").get<double>(), r);
    else
      compare(name, run_case(op, input, c.at("params")), read_picture(output), r);
  }
}

inline void check_weights(const json& tables, const std::string& name, report& r) {
  std::size_t differing = 0, total = 0;
  for (const json& t : tables) {
    const auto made = sp::resampling_weights(t.at("n_in").get<int>(), t.at("n_out").get<int>(),
                                             sp::filter::bicubic);
    for (const json& row : t.at("rows")) {
      const auto x = row.at("out").get<std::size_t>();
      const auto k = row.at("k").get<std::vector<std::int32_t>>();
      total += 2 + k.size();
      differing += made.first[x] != row.at("first").get<int>();
      differing += made.count[x] != int(k.size());
      for (std::size_t t2 = 0; t2 < k.size(); ++t2)
        differing += int(t2) >= made.taps || made.weights[x * std::size_t(made.taps) + t2] != k[t2];
    }
  }
  r.exact(name, differing, total);
}

inline void check_blurs(const json& tables, const std::string& name, report& r) {
  std::size_t differing = 0;
  for (const json& t : tables) {
    const auto b = sp::box_blur::of_deviation(t.at("radius").get<float>());
    differing += b.radius != t.at("box_radius").get<float>();
    differing += b.whole != t.at("ri").get<int>();
    differing += b.weight != t.at("ww").get<std::uint32_t>();
    differing += b.edge_weight != t.at("fw").get<std::uint32_t>();
  }
  r.exact(name, differing, 4 * tables.size());
}

inline void check_crops(const json& crops, const json& fallbacks, const std::string& name,
                        report& r) {
  std::size_t differing = 0;
  for (const json& t : crops) {
    const auto s = sp::size_of_crop(t.at("width").get<int>(), t.at("height").get<int>(),
                                    t.at("scale").get<double>(), t.at("log_ratio").get<double>());
    differing += s.width != t.at("w").get<int>() || s.height != t.at("h").get<int>();
    differing += s.fits != t.at("accepted").get<bool>();
  }
  r.exact(name + "crop", differing, 2 * crops.size());
  differing = 0;
  for (const json& t : fallbacks) {
    const sp::box want{t.at("top").get<int>(), t.at("left").get<int>(), t.at("h").get<int>(),
                       t.at("w").get<int>()};
    differing += !(sp::fallback_crop(t.at("width").get<int>(), t.at("height").get<int>(), 0.75,
                                     4.0 / 3) == want);
  }
  r.exact(name + "fallback", differing, fallbacks.size());
}

/// One file that must decode to `expected`, or must be refused. Formats we do not read may be
/// refused by name.
inline void check_decoded(const path& dir, const json& c, const std::string& name, report& r) {
  const path file = dir / c.at("file").get<std::string>();
  try {
    const sp::image made = read_picture(file);
    if (c.value("error", false))
      r.exact(name, 1, 1, "decoded, but must be refused");
    else
      compare(name, made, read_picture(dir / c.at("expected").get<std::string>()), r);
  } catch (const sp::error& e) {
    const sp::format is = sp::sniff(sp::read_file(file.string()));
    const bool may = c.value("error", false) || is == sp::format::bmp || is == sp::format::pnm;
    r.exact(name, may ? 0 : 1, 1, e.what());
  }
}

}  // namespace detail

namespace detail {

inline void check_augment_folder(const path& dir, report& r) {
  const std::string name = folder_name(dir);
  check_cases(dir, r);
  if (exists(dir / "tables.json")) {
    const json tables = read_json(dir / "tables.json");
    check_weights(tables.at("resample_bicubic"), name + "/tables/resample_bicubic", r);
    check_blurs(tables.at("blur"), name + "/tables/blur", r);
    check_crops(tables.at("crop"), tables.at("fallback"), name + "/tables/", r);
  }
  if (!exists(dir / "decode" / "cases.json")) return;
  const json all = read_json(dir / "decode" / "cases.json");
  for (const json& c : all.at("cases"))
    check_decoded(dir / "decode", c, name + "/decode/" + c.at("file").get<std::string>(), r);
}

}  // namespace detail

/// Everything in a folder of recorded augmentations. Throws selfpatch::error where the folder
/// itself is damaged.
inline void check_augment(const path& dir, report& r) {
  detail::explaining(dir, [&] { detail::check_augment_folder(dir, r); });
}

}  // namespace parity
