// report: RUN/report.html, one page that says how a run went: a verdict in words, the measures and
// pictures of its snapshots beside floors and chance, its curves with the lines of collapse, where
// the time went, how to repeat it.
//
//   write_report("run", {.encode = encode_png});
//
// It is made of RUN/log.jsonl and RUN/snapshots alone, so it can be written again at any time, also
// of a run that still goes on. Everything is in the page: no scripts, nothing loaded; it stays
// below 5 MB.
#pragma once

#include <selfpatch/eval/gallery_page.hpp>
#include <selfpatch/eval/run_curves.hpp>
#include <selfpatch/eval/snapshot_file.hpp>

#include <string>
#include <vector>

namespace selfpatch {

/// A measure made elsewhere (k-NN, segmentation), for the table.
struct report_figure {
  std::string what, untrained, trained, floor;
};

struct report_options {
  std::string title = "Training run";
  png_encoder encode = nullptr;  ///< without it there are no pictures
  std::vector<report_figure> figures{};
  std::vector<std::pair<std::string, double>>
      stages{};  ///< seconds beside those of the log: evaluation, saving
};

namespace detail {

/// 1234567 as "1,234,567".
inline std::string with_commas(double n) {
  if (!std::isfinite(n)) return "-";
  std::string digits = std::to_string(std::int64_t(n));
  for (index at = index(digits.size()) - 3; at > (n < 0); at -= 3)
    digits.insert(std::size_t(at), ",");
  return digits;
}

inline std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds < 120) return short_number(seconds, 3) + " s";
  if (seconds < 7200) return short_number(seconds / 60, 3) + " min";
  return short_number(seconds / 3600, 3) + " h";
}

class report_writer {
 public:
  report_writer(const std::filesystem::path& run, const report_options& o)
      : log_(run / "log.jsonl"), seen_(load_snapshots(run)), options_(o), page_(o.title) {}

  std::string text() {
    verdict();
    terms();
    if (!seen_.empty() && options_.encode) {
      gallery_page pictures(seen_, options_.encode);
      pictures.add_figures(page_);
      other_figures();
      pictures.add_colors(page_);
      pictures.add_neighbors(page_);
    } else {
      other_figures();
    }
    page_.heading("Curves").raw(curves_html(log_));
    if (const std::size_t refused = log_.count("refused"))
      page_.paragraph(std::to_string(refused) +
                      " logged steps were refused because a number was not finite.");
    time();
    configuration();
    return page_.text();
  }

 private:
  bool has_patch() const { return std::isfinite(log_.last("kl_patch")); }

  void verdict() {
    const auto of_end = [&](const char* key) {
      return log_.end() ? log_.end()->text(key).value_or("") : std::string();
    };
    std::string state = of_end("health");
    if (state.empty()) state = log_.last_text("health");
    tone how = tone::plain;
    std::string word = "Nothing is known";
    if (state == "ok") how = tone::good, word = "Healthy";
    if (state == "settling") how = tone::doubtful, word = "Too short to judge";
    if (state == "warning") how = tone::doubtful, word = "Look closer";
    if (state == "collapsed") how = tone::bad, word = "Collapsed";
    if (state == "broken") how = tone::bad, word = "Broken";
    std::string sentence = of_end("verdict");
    if (sentence.empty()) sentence = log_.last_text("verdict");
    if (sentence.empty() && state == "ok") sentence = "every term keeps learning";
    page_.verdict(how, word + (sentence.empty() ? "." : ":"), sentence);
    page_.paragraph(summary());
  }

  std::string summary() const {
    const double step = log_.last("step"), steps = log_.first().number("steps").value_or(NAN);
    std::string text = with_commas(step) + " steps";
    if (step < steps) text += " of " + with_commas(steps) + " (not finished)";
    text += ", " + with_commas(log_.last("images")) + " images seen";
    if (const auto pictures = log_.first().number("pictures"))
      text += " out of " + with_commas(*pictures) + " pictures";
    text += ".";
    if (seen_.size() < 2 || seen_.back().network.pictures == 0) return text;
    const neighbor_figures &was = seen_.front().network, &is = seen_.back().network;
    return text + " Same-object neighbors at object borders " + percent_text(was.boundary) +
           " \u2192 " + percent_text(is.boundary) + " (chance " + percent_text(is.chance) +
           ", best possible " + percent_text(is.ceiling) + "), boundary AUC " +
           figure_text(was.auc) + " \u2192 " + figure_text(is.auc) + " (mean color alone " +
           figure_text(seen_.back().mean_color.auc) + ").";
  }

  /// How each term stands at the end.
  void terms() {
    std::vector<std::vector<std::string>> rows;
    const auto row = [&](const std::string& name) {
      const auto last = [&](const char* key) { return log_.last(key + ("_" + name)); };
      const double H = last("teacher_entropy"), M = last("mean_teacher_entropy"),
                   K = last("prototypes");
      if (!std::isfinite(H)) return;
      rows.push_back({name, log_.last_text("health_" + name), figure_text(last("loss")),
                      figure_text(H), figure_text(M), figure_text(last("kl")),
                      figure_text((M - H) * std::log(K))});
    };
    row("image");
    if (has_patch()) row("patch");
    if (rows.empty()) return;
    page_.table({"term", "health", "loss", "H / ln K", "M / ln K", "KL, nats", "information, nats"},
                rows);
    page_.paragraph(
        "H: entropy of the teacher's target, near ln K where it has collapsed to uniform. M: "
        "entropy of the mean target, "
        "near 0 where all pictures share one prototype. KL: what the student has still to learn. "
        "Information: M - H, what "
        "the targets say about the picture.");
  }

  void other_figures() {
    if (options_.figures.empty()) return;
    std::vector<std::vector<std::string>> rows;
    for (const report_figure& f : options_.figures)
      rows.push_back({f.what, f.untrained, f.trained, f.floor});
    page_.heading("Other measures").table({"measure", "untrained", "trained", "floor"}, rows);
  }

  void time() {
    auto all = stages_of(log_);
    all.insert(all.end(), options_.stages.begin(), options_.stages.end());
    double total = 0;
    for (const auto& [name, seconds] : all) total += std::isfinite(seconds) ? seconds : 0;
    if (total <= 0) return;
    page_.heading("Where the time went");
    std::string html = "<table><tbody>\n";
    for (const auto& [name, seconds] : all) {
      const int width = std::clamp(int(300 * seconds / total + 0.5), 1, 300);
      html += "<tr><td>" + escaped(name) + "</td><td class=\"n\">" + duration_text(seconds) +
              "</td><td><svg width=\"300\" height=\"12\" role=\"img\"><title>" +
              percent_text(seconds / total) +
              "</title><rect width=\"300\" height=\"12\" fill=\"#eee\"/><rect width=\"" +
              std::to_string(width) + "\" height=\"12\" fill=\"#0072b2\"/></svg> " +
              percent_text(seconds / total) + "</td></tr>\n";
    }
    page_.raw(html + "</tbody></table>");
    const double memory = log_.last("memory_bytes");
    if (std::isfinite(memory))
      page_.paragraph("Memory of the steps: " + short_number(memory / 1048576, 4) + " MiB.");
  }

  void configuration() {
    if (const auto command = log_.first().text("command"); command && !command->empty()) {
      page_.heading("How to repeat it").verbatim(*command);
      page_.paragraph(
          "The same command in an empty folder gives the same bits, for any number of threads and "
          "stops, with the same build on the same instruction set.");
    }
    const auto listed = [&](const char* object) {
      std::string html = "<table><tbody>\n";
      for (const auto& [name, value] : log_.pairs(object))
        html += "<tr><td>" + escaped(name) + "</td><td>" + escaped(value) + "</td></tr>\n";
      return html + "</tbody></table>";
    };
    page_.heading("Configuration and machine");
    page_.details("configuration", listed("config"));
    page_.details("machine", listed("machine"));
  }

  run_log log_;
  std::vector<snapshot> seen_;
  const report_options& options_;
  html_page page_;
};

}  // namespace detail

/// The page of a run as text. Throws error where its log cannot be read.
inline std::string report_text(const std::filesystem::path& run, const report_options& o) {
  return detail::report_writer(run, o).text();
}

/// Writes RUN/report.html, whole or not at all, and returns its path. Throws write_error where it
/// cannot.
inline std::filesystem::path write_report(const std::filesystem::path& run,
                                          const report_options& o) {
  const auto target = run / "report.html";
  write_file(target, report_text(run, o));
  return target;
}

}  // namespace selfpatch
