// pictures: drawings that stand in a page: a picture with a patch, its candidates and the chosen
// neighbors.
//
// Coordinates are patches: the picture is stretched over a viewBox of cols x rows, so one drawing
// serves any size. A picture's bytes stand in the page once (define_picture); drawings refer to it.
// What is said by color is said by shape too: a ring for a right choice, a cross for a wrong one, a
// dot where nobody knows.
#pragma once

#include <selfpatch/eval/html.hpp>
#include <selfpatch/eval/snapshot.hpp>

#include <string>
#include <vector>

namespace selfpatch {

/// The bytes of a PNG file of a picture: encode_png of the programs, or your own.
using png_encoder = std::vector<std::byte> (*)(const image&);

/// Part of a picture, in patches.
struct patch_window {
  index left = 0, top = 0, cols = 0, rows = 0;
};

/// What to show of a query: its window and a patch around it; the whole picture where candidates
/// lie beyond (a torus).
inline patch_window window_of(const drawn_query& q, grid g, index radius) {
  const index side = 2 * radius + 3;
  const auto start = [&](index at, index length) {
    return std::clamp<index>(at - side / 2, 0, std::max<index>(0, length - side));
  };
  const patch_window w{start(q.patch % g.cols, g.cols), start(q.patch / g.cols, g.rows),
                       std::min(side, g.cols), std::min(side, g.rows)};
  for (const index c : q.candidates) {
    const index x = c % g.cols - w.left, y = c / g.cols - w.top;
    if (x < 0 || y < 0 || x >= w.cols || y >= w.rows) return {0, 0, g.cols, g.rows};
  }
  return w;
}

namespace detail {

/// Squares, rings, crosses, dots: one path each for all patches of a drawing.
class patch_path {
 public:
  explicit patch_path(grid g) : grid_(g) {}

  void square(index patch, double inset) {
    move(patch, inset, inset);
    const std::string side = text(1 - 2 * inset);
    path_ += "h" + side + "v" + side + "h-" + side + "z";
  }
  void ring(index patch, double radius) {
    move(patch, 0.5 - radius, 0.5);
    const std::string r = text(radius), d = text(2 * radius);
    path_ += "a" + r + " " + r + " 0 1 0 " + d + " 0a" + r + " " + r + " 0 1 0-" + d + " 0z";
  }
  void cross(index patch) {
    move(patch, 0.28, 0.28);
    path_ += "l.44 .44";
    move(patch, 0.72, 0.28);
    path_ += "l-.44 .44";
  }

  /// Twice: a wide pale line under a narrow dark one shows on every ground.
  std::string drawn(double width, const char* color) const {
    if (path_.empty()) return {};
    const auto line = [&](double w, const char* c) {
      return "<path d=\"" + path_ + "\" fill=\"none\" stroke=\"" + std::string(c) +
             "\" stroke-width=\"" + text(w) + "\"/>";
    };
    return line(width + std::max(0.07, 0.8 * width), "#fff") + line(width, color);
  }

 private:
  static std::string text(double x) {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, std::round(x * 1000) / 1000).ptr};
  }
  void move(index patch, double x, double y) {
    path_ +=
        "M" + text(double(patch % grid_.cols) + x) + " " + text(double(patch / grid_.cols) + y);
  }

  grid grid_;
  std::string path_;
};

inline std::string size_attributes(const patch_window& w, int longest) {
  const double scale = double(longest) / double(std::max(w.cols, w.rows));
  const auto pixels = [&](index patches) {
    return std::to_string(std::max(1, int(double(patches) * scale)));
  };
  return " width=\"" + pixels(w.cols) + "\" height=\"" + pixels(w.rows) + "\" viewBox=\"" +
         std::to_string(w.left) + " " + std::to_string(w.top) + " " + std::to_string(w.cols) + " " +
         std::to_string(w.rows) + "\"";
}

inline std::string patch_name(index patch, grid g) {
  return "row " + std::to_string(patch / g.cols) + ", column " + std::to_string(patch % g.cols);
}

}  // namespace detail

/// Puts a picture into the page, unseen, under a name for drawings. It may have fewer pixels than
/// the network saw.
inline std::string define_picture(const std::string& id, std::span<const std::byte> png, grid g,
                                  bool sharp) {
  return "<svg width=\"0\" height=\"0\" style=\"position:absolute\" "
         "aria-hidden=\"true\"><defs><image id=\"" +
         escaped(id) + "\" width=\"" + std::to_string(g.cols) + "\" height=\"" +
         std::to_string(g.rows) + "\" preserveAspectRatio=\"none\"" +
         (sharp ? " style=\"image-rendering:pixelated\"" : "") +
         " xlink:href=\"data:image/png;base64," + base64(png) + "\"/></defs></svg>\n";
}

/// A query with its candidates (thin squares) and choices, `longest` pixels wide or high.
inline std::string draw_query(const std::string& id, grid g, const drawn_query& q, index radius,
                              int longest = 120) {
  detail::patch_path candidates(g), right(g), wrong(g), unknown(g), query(g);
  for (const std::int32_t c : q.candidates) candidates.square(c, 0.06);
  std::size_t errors = 0;
  for (std::size_t i = 0; i < q.chosen.size(); ++i) {
    const auto mark = i < q.marks.size() ? q.marks[i] : std::uint8_t(drawn_query::unknown);
    errors += mark == drawn_query::wrong;
    if (mark == drawn_query::right) right.ring(q.chosen[i], 0.26);
    if (mark == drawn_query::wrong) wrong.cross(q.chosen[i]);
    if (mark == drawn_query::unknown) unknown.ring(q.chosen[i], 0.12);
  }
  query.square(q.patch, 0.03);
  std::string alt = "patch in " + detail::patch_name(q.patch, g) + ": " +
                    std::to_string(q.chosen.size()) + " chosen of " +
                    std::to_string(q.candidates.size());
  if (!q.marks.empty() && q.marks.front() != drawn_query::unknown)
    alt += ", " + std::to_string(errors) + " wrong";
  return "<svg role=\"img\"" + detail::size_attributes(window_of(q, g, radius), longest) +
         "><title>" + escaped(alt) + "</title><use xlink:href=\"#" + escaped(id) + "\"/>" +
         candidates.drawn(0.03, "#333") + right.drawn(0.1, "#0072b2") +
         wrong.drawn(0.12, "#d55e00") + unknown.drawn(0.14, "#000") + query.drawn(0.1, "#000") +
         "</svg>";
}

/// The whole picture with its queries outlined.
inline std::string draw_picture(const std::string& id, grid g,
                                const std::vector<drawn_query>& queries, const std::string& name,
                                int longest = 240) {
  detail::patch_path outlines(g);
  for (const drawn_query& q : queries) outlines.square(q.patch, 0.03);
  return "<svg role=\"img\"" + detail::size_attributes({0, 0, g.cols, g.rows}, longest) +
         "><title>" + escaped(name) + "</title><use xlink:href=\"#" + escaped(id) + "\"/>" +
         outlines.drawn(0.2, "#000") + "</svg>";
}

/// The words that go with these drawings.
inline constexpr const char* drawing_legend =
    "Black square: the patch asked about. Thin squares: its candidates. Ring: chosen, and on the "
    "same object. Cross: "
    "chosen, but on another object. Dot: chosen, where no mask says more.";

/// The picture as it goes into a page: no side longer than `longest`.
inline image for_page(const image& p, int longest) {
  const int side = std::max(p.width, p.height);
  if (side <= longest) return p;
  const auto reduced = [&](int n) { return std::max(1, int(index(n) * longest / side)); };
  return resize(p, reduced(p.width), reduced(p.height));
}

}  // namespace selfpatch
