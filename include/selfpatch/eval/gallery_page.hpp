// gallery_page: snapshots side by side on a page: the measures as a table, the neighbors chosen,
// the tokens as colors.
//
// Every picture's bytes stand in the page once, made smaller where all of them would make the page
// heavy.
#pragma once

#include <selfpatch/eval/html.hpp>
#include <selfpatch/eval/pictures.hpp>
#include <selfpatch/eval/snapshot.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace selfpatch {

/// "74.3 %"; a dash where nothing was measured.
inline std::string percent_text(double share) {
  if (!std::isfinite(share)) return "-";
  char text[40];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

/// "0.850", and with a standard error "0.850 ± 0.006".
inline std::string figure_text(double x, double error = NAN) {
  if (!std::isfinite(x)) return "-";
  char text[60];
  if (std::isfinite(error))
    std::snprintf(text, sizeof text, "%.3f \u00b1 %.3f", x, error);
  else
    std::snprintf(text, sizeof text, "%.3f", x);
  return text;
}

class gallery_page {
 public:
  /// The snapshots must stay. Pictures are encoded here: about `budget` bytes of them.
  gallery_page(const std::vector<snapshot>& seen, png_encoder encode,
               std::size_t budget = 2'500'000)
      : seen_(seen), encode_(encode) {
    for (const snapshot& s : seen) {
      std::vector<std::size_t> ids;
      for (const drawn_picture& p : s.pictures) ids.push_back(number_of(p));
      ids_.push_back(std::move(ids));
    }
    std::size_t bytes = 0;
    for (int longest = 320; pngs_.empty() || (bytes > budget && longest >= 60);
         longest = longest * 2 / 3) {
      pngs_.clear();
      bytes = 0;
      for (const drawn_picture* p : different_) {
        pngs_.push_back(encode(for_page(p->picture, longest)));
        bytes += pngs_.back().size();
      }
      if (different_.empty()) break;
    }
  }

  bool has_pictures() const { return !different_.empty(); }
  bool has_figures() const {
    return std::any_of(seen_.begin(), seen_.end(),
                       [](const snapshot& s) { return s.network.pictures > 0; });
  }

  /// The measures beside what learned nothing; nothing where there are no masks.
  void add_figures(html_page& page) const {
    if (!has_figures()) return;
    const snapshot& last = seen_.back();
    std::vector<std::vector<std::string>> rows;
    const auto row = [&](const std::string& name, const neighbor_figures& f) {
      rows.push_back(
          {name, percent_text(f.boundary), figure_text(f.auc, f.auc_error), percent_text(f.share)});
    };
    for (const snapshot& s : seen_) row(s.label, s.network);
    row("floor: mean color of a patch", last.mean_color);
    row("floor: pixels of a patch", last.pixels);
    rows.push_back({"chance", percent_text(last.network.chance), "0.500", "-"});
    rows.push_back({"best possible", percent_text(last.network.ceiling), "1.000", "-"});
    page.heading("Do chosen neighbors lie on the same object?");
    page.table(
        {"features", "same object, at object borders", "boundary AUC", "same object, all patches"},
        rows);
    page.paragraph(std::to_string(index(last.network.pictures)) +
                   " pictures with masks. The boundary AUC is the chance that a neighbor on the "
                   "same object is more "
                   "similar than one on another; \u00b1 is one standard error over pictures.");
  }

  /// Queries, candidates and choices, picture by picture.
  void add_neighbors(html_page& page) {
    if (!has_pictures()) return;
    page.heading("The neighbors chosen");
    define_pictures(page);
    std::size_t drawings = 1;
    for (const snapshot& s : seen_)
      for (const drawn_picture& p : s.pictures)
        drawings = std::max(drawings, p.queries.size() * seen_.size());
    const int longest = std::clamp(int(700 / drawings) - 6, 56, 140);

    std::string html = "<table><thead><tr><th></th>";
    for (const snapshot& s : seen_) html += "<th>" + escaped(s.label) + "</th>";
    html += "</tr></thead><tbody>\n";
    for (std::size_t i = 0; i < seen_.back().pictures.size(); ++i) {
      const drawn_picture& p = seen_.back().pictures[i];
      html += "<tr><td>" + draw_picture(id(seen_.size() - 1, i), p.on, p.queries, p.name, 150) +
              "</td>";
      for (std::size_t s = 0; s < seen_.size(); ++s)
        html += "<td>" + queries_html(s, i, longest) + "</td>";
      html += "</tr>\n";
    }
    page.raw(html + "</tbody></table>");
    page.paragraph(drawing_legend);
  }

  /// Pictures and their tokens in the first three principal components.
  void add_colors(html_page& page) {
    if (!has_pictures()) return;
    page.heading("The tokens as colors");
    define_pictures(page);
    const auto& shown = seen_.back().pictures;
    const int width = std::clamp(int(800 / shown.size()) - 6, 40, 160);
    std::string html = "<table><tbody><tr><td>picture</td>";
    for (std::size_t i = 0; i < shown.size(); ++i)
      html += "<td>" +
              draw_picture(id(seen_.size() - 1, i), shown[i].on, {}, shown[i].name, width) +
              "</td>";
    html += "</tr>\n";
    for (const snapshot& s : seen_) {
      html += "<tr><td>" + escaped(s.label) + "</td>";
      for (const drawn_picture& p : s.pictures)
        html += "<td>" +
                inline_png(encode_(p.colors), "tokens of " + p.name + " as colors", width) +
                "</td>";
      html += "</tr>\n";
    }
    page.raw(html + "</tbody></table>");
    std::string shares;
    for (const snapshot& s : seen_)
      shares += (shares.empty() ? "" : ", ") + s.label + " " + percent_text(s.color_share);
    page.paragraph(
        "Red, green and blue are the first three principal components of the tokens (made of "
        "length 1), "
        "fitted on all pictures of a row together: equal colors are similar tokens. Share of the "
        "variance "
        "they hold: " +
        shares + ".");
  }

 private:
  /// Equal pictures have one number.
  std::size_t number_of(const drawn_picture& p) {
    for (std::size_t n = 0; n < different_.size(); ++n)
      if (different_[n]->picture == p.picture) return n;
    different_.push_back(&p);
    return different_.size() - 1;
  }
  std::string id(std::size_t snapshot, std::size_t picture) const {
    return "p" + std::to_string(ids_[snapshot][picture]);
  }

  void define_pictures(html_page& page) {
    if (std::exchange(defined_, true)) return;
    std::string html;
    for (std::size_t n = 0; n < different_.size(); ++n)
      html += define_picture("p" + std::to_string(n), pngs_[n], different_[n]->on,
                             different_[n]->picture.width < 128);
    page.raw(html);
  }

  std::string queries_html(std::size_t s, std::size_t i, int longest) const {
    if (i >= seen_[s].pictures.size()) return {};
    const drawn_picture& p = seen_[s].pictures[i];
    std::string html;
    for (const drawn_query& q : p.queries)
      html += draw_query(id(s, i), p.on, q, seen_[s].radius, longest) + " ";
    return html;
  }

  const std::vector<snapshot>& seen_;
  png_encoder encode_;
  std::vector<const drawn_picture*> different_;
  std::vector<std::vector<std::size_t>> ids_;
  std::vector<std::vector<std::byte>> pngs_;
  bool defined_ = false;
};

}  // namespace selfpatch
