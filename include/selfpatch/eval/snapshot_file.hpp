// snapshot_file: snapshots of a run, in RUN/snapshots/STEP.safetensors
//
//   figures (3, 8) f64             network, mean color, pixels; fields of neighbor_figures in order
//   color_share (1) f64
//   picture.I (H, W, C) u8         colors.I (rows, cols, 3) u8
//   query.I (Q, 1) i32             candidates.I (Q, M) i32, empty slots -1
//   chosen.I, marks.I (Q, K) i32   empty slots -1
//
// and as metadata label, step, images, radius and the names of the pictures, name.I.
#pragma once

#include <selfpatch/eval/snapshot.hpp>

#include <bit>
#include <deque>

namespace selfpatch {

namespace detail {

using all_figures = std::array<neighbor_figures, 3>;
inline constexpr std::size_t figure_count = sizeof(all_figures) / sizeof(double);
using integer_table = tensor<std::int32_t, shape<dyn, dyn>>;

/// One list per query as rows, short ones ending in -1; at least one column.
template <class List>
integer_table padded(const std::vector<drawn_query>& queries, const List& list) {
  std::size_t width = 1;
  for (const drawn_query& q : queries) width = std::max(width, list(q).size());
  integer_table table(shape<dyn, dyn>(queries.size(), width));
  std::fill(table.values().begin(), table.values().end(), -1);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto& row = list(queries[q]);
    std::copy(row.begin(), row.end(), rows(table).row(index(q)));
  }
  return table;
}

/// A row of such a table.
inline std::vector<std::int32_t> unpadded(const integer_table& table, index row) {
  const std::int32_t* from = rows(table).row(row);
  return {from, std::find(from, from + table.extent(1), -1)};
}

inline named_view view_of_image(std::string name, const image& p) {
  return view_of(std::move(name), std::span<const std::uint8_t>(p.pixels),
                 {p.height, p.width, p.channels});
}

/// Throws error unless it is (H, W, 1 or 3).
inline image read_image(const safetensors_file& file, const std::string& name) {
  const tensor_entry& from = file.at(name);
  const auto& s = from.shape;
  const bool fits = s.size() == 3 && s[0] > 0 && s[1] > 0 && s[0] < 65536 && s[1] < 65536 &&
                    (s[2] == 1 || s[2] == 3);
  if (!fits)
    throw error(problem{.what = "cannot read " + file.name(),
                        .where = "tensor " + name,
                        .expected = "a picture, height x width x channels",
                        .found = shape_text(s)});
  const int height = int(s[0]), width = int(s[1]);
  image p(width, height, int(s[2]));
  file.read_into(from, std::span<std::uint8_t>(p.pixels));
  return p;
}

/// Every value in low .. high-1, or it is not ours.
inline integer_table read_table(const safetensors_file& file, const std::string& name,
                                std::int32_t low, index high) {
  const tensor_entry& from = file.at(name);
  const auto refuse = [&](const std::string& expected, const std::string& found) {
    throw error(problem{.what = "cannot read " + file.name(),
                        .where = "tensor " + name,
                        .expected = expected,
                        .found = found});
  };
  if (from.shape.size() != 2) refuse("rows and columns", shape_text(from.shape));
  integer_table table(shape<dyn, dyn>(from.shape[0], from.shape[1]));
  file.read_into(from, table.values());
  for (const std::int32_t v : table.values())
    if (v < low || v >= high) refuse("numbers below " + std::to_string(high), std::to_string(v));
  return table;
}

inline drawn_picture read_picture(const safetensors_file& file, const std::string& i) {
  drawn_picture p{.name = file.metadata().count("name" + i) ? file.metadata().at("name" + i) : "",
                  .picture = read_image(file, "picture" + i),
                  .on = {},
                  .colors = read_image(file, "colors" + i),
                  .queries = {}};
  p.on = {p.colors.height, p.colors.width};
  const index N = p.on.size();
  const auto query = read_table(file, "query" + i, 0, N);
  const auto candidates = read_table(file, "candidates" + i, -1, N);
  const auto chosen = read_table(file, "chosen" + i, -1, N);
  const auto marks = read_table(file, "marks" + i, -1, drawn_query::unknown + 1);
  for (index q = 0; q < query.extent(0); ++q) {
    expects(query.extent(1) == 1 && candidates.extent(0) == query.extent(0) &&
                chosen.shape() == marks.shape() && chosen.extent(0) == query.extent(0),
            "a snapshot's tables must have a row per query");
    const auto mark = unpadded(marks, q);
    p.queries.push_back({rows(query).row(q)[0], unpadded(candidates, q), unpadded(chosen, q),
                         std::vector<std::uint8_t>(mark.begin(), mark.end())});
    expects(p.queries.back().marks.size() == p.queries.back().chosen.size(),
            "a snapshot must mark every chosen patch");
  }
  return p;
}

}  // namespace detail

inline std::filesystem::path snapshot_folder(const std::filesystem::path& run) {
  return run / "snapshots";
}

/// Writes RUN/snapshots/STEP.safetensors, replacing one of the same step.
inline void save_snapshot(const std::filesystem::path& run, const snapshot& s) {
  const auto figures = std::bit_cast<std::array<double, detail::figure_count>>(
      detail::all_figures{s.network, s.mean_color, s.pixels});
  std::vector<named_view> views{
      view_of("figures", std::span(figures), {3, index(detail::figure_count / 3)}),
      view_of("color_share", std::span(&s.color_share, 1), {1})};
  string_map about{{"label", s.label},
                   {"step", std::to_string(s.step)},
                   {"images", std::to_string(s.images)},
                   {"radius", std::to_string(s.radius)}};
  std::deque<detail::integer_table> tables;  // the views point into it
  for (std::size_t i = 0; i < s.pictures.size(); ++i) {
    const drawn_picture& p = s.pictures[i];
    const std::string number = "." + std::to_string(i);
    about["name" + number] = p.name;
    views.push_back(detail::view_of_image("picture" + number, p.picture));
    views.push_back(detail::view_of_image("colors" + number, p.colors));
    const auto add = [&](const char* name, const auto& list) {
      tables.push_back(detail::padded(p.queries, list));
      views.push_back(view_of(name + number, tables.back()));
    };
    add("query", [](const drawn_query& q) { return std::vector{q.patch}; });
    add(
        "candidates", [](const drawn_query& q) -> auto& { return q.candidates; });
    add(
        "chosen", [](const drawn_query& q) -> auto& { return q.chosen; });
    add(
        "marks", [](const drawn_query& q) -> auto& { return q.marks; });
  }
  std::error_code ignored;  // the file itself will say what is wrong
  std::filesystem::create_directories(snapshot_folder(run), ignored);
  std::string name = std::to_string(s.step);
  name.insert(0, name.size() < 9 ? 9 - name.size() : 0, '0');
  write_safetensors(snapshot_folder(run) / (name + ".safetensors"),
                    std::span<const named_view>(views), about);
}

/// Throws error for a file that is not a snapshot.
inline snapshot load_snapshot(const std::filesystem::path& path) {
  const safetensors_file file(path);
  snapshot s;
  const auto text = [&](const char* name) {
    const auto at = file.metadata().find(name);
    return at == file.metadata().end() ? std::string() : at->second;
  };
  const auto number = [&](const char* name) {
    const std::string digits = text(name);
    index value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  };
  s.label = text("label");
  s.step = number("step");
  s.images = number("images");
  s.radius = number("radius");
  std::array<double, detail::figure_count> figures{};
  file.read_into(file.at("figures"), std::span(figures));
  const auto all = std::bit_cast<detail::all_figures>(figures);
  s.network = all[0];
  s.mean_color = all[1];
  s.pixels = all[2];
  file.read_into(file.at("color_share"), std::span(&s.color_share, 1));
  for (std::size_t i = 0; file.find("picture." + std::to_string(i)); ++i)
    s.pictures.push_back(detail::read_picture(file, "." + std::to_string(i)));
  return s;
}

/// Those of a run, by step. Files that cannot be read are left out: a report can do without.
inline std::vector<snapshot> load_snapshots(const std::filesystem::path& run) {
  std::vector<std::filesystem::path> paths;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(snapshot_folder(run), ignored))
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<snapshot> all;
  for (const auto& path : paths) {
    try {
      all.push_back(load_snapshot(path));
    } catch (const error&) {
      continue;
    }
  }
  return all;
}

}  // namespace selfpatch
