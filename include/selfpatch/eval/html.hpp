// html: one page with everything in it: no scripts, nothing loaded from anywhere, readable offline,
// on paper and without telling colors apart.
//
//   html_page page("Run a");
//   page.verdict(tone::good, "healthy", "the loss fell and both terms keep learning");
//   page.heading("Loss").figure(svg(curves), "Both terms, per step.");
//   write_file("report.html", page.text());
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace selfpatch {

/// Text as it may stand between tags and inside a quoted attribute.
inline std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // Other control characters are not allowed in a page, in any spelling.
        out += std::uint8_t(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  return out;
}

inline std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t j) {
      return i + j < bytes.size() ? std::uint32_t(bytes[i + j]) : 0;
    };
    const std::uint32_t word = at(0) << 16 | at(1) << 8 | at(2);
    out += digits[word >> 18];
    out += digits[word >> 12 & 63];
    out += i + 1 < bytes.size() ? digits[word >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? digits[word & 63] : '=';
  }
  return out;
}

/// A PNG inside the page. `width`: pixels on the screen, 0 for its own; enlarged pixels stay sharp.
inline std::string inline_png(std::span<const std::byte> png, std::string_view alt, int width = 0) {
  std::string out = "<img alt=\"" + escaped(alt) + "\"";
  if (width > 0) out += " width=\"" + std::to_string(width) + "\"";
  return out + " src=\"data:image/png;base64," + base64(png) + "\">";
}

/// How a verdict looks; its word says the same.
enum class tone { good, doubtful, bad, plain };

class html_page {
 public:
  explicit html_page(std::string title) : title_(std::move(title)) {}

  html_page& heading(std::string_view text) { return add("<h2>" + escaped(text) + "</h2>\n"); }
  html_page& paragraph(std::string_view text) { return add("<p>" + escaped(text) + "</p>\n"); }
  /// Text with its line breaks and spaces, as a command or a configuration.
  html_page& verbatim(std::string_view text) { return add("<pre>" + escaped(text) + "</pre>\n"); }
  /// HTML as it is.
  html_page& raw(std::string_view html) { return add(std::string(html) + "\n"); }

  /// The box a reader looks at first: a word, and a sentence.
  html_page& verdict(tone how, std::string_view word, std::string_view sentence) {
    constexpr std::string_view classes[] = {"good", "doubtful", "bad", "plain"};
    constexpr std::string_view signs[] = {"&#10003; ", "? ", "&#10007; ", ""};
    const auto i = std::size_t(how);
    return add("<div class=\"verdict " + std::string(classes[i]) + "\"><strong>" +
               std::string(signs[i]) + escaped(word) + "</strong> " + escaped(sentence) +
               "</div>\n");
  }

  /// Pictures or a plot, as HTML, with a caption.
  html_page& figure(std::string_view html, std::string_view caption) {
    return add("<figure>" + std::string(html) + "<figcaption>" + escaped(caption) +
               "</figcaption></figure>\n");
  }

  /// Cells are text; those that begin like a number stand to the right.
  html_page& table(const std::vector<std::string>& head,
                   const std::vector<std::vector<std::string>>& rows) {
    std::string out = "<table>\n";
    if (!head.empty()) out += "<thead>" + row(head, "th") + "</thead>\n";
    out += "<tbody>\n";
    for (const auto& r : rows) out += row(r, "td") + "\n";
    return add(out + "</tbody></table>\n");
  }

  /// Folded away under a line until it is clicked; whole on paper.
  html_page& details(std::string_view summary, std::string_view html) {
    return add("<details><summary>" + escaped(summary) + "</summary>\n" + std::string(html) +
               "\n</details>\n");
  }

  /// The page.
  std::string text() const {
    return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" "
           "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
           escaped(title_) + "</title>\n<style>\n" + std::string(style) +
           "</style></head>\n<body>\n<h1>" + escaped(title_) + "</h1>\n" + body_ +
           "</body></html>\n";
  }

 private:
  static constexpr std::string_view style =
      "body{font:15px/1.5 "
      "system-ui,sans-serif;color:#222;background:#fff;max-width:60rem;margin:2rem auto;"
      "padding:0 1rem}\n"
      "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ccc}\n"
      ".verdict{border:1px solid #888;border-left:.6rem solid #888;padding:.6rem 1rem;margin:1rem "
      "0}\n"
      ".verdict.good{border-left-color:#009e73}.verdict.doubtful{border-left-color:#e69f00}"
      ".verdict.bad{border-left-color:#d55e00}\n"
      "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.15rem .7rem;border-bottom:1px "
      "solid #ddd;"
      "text-align:left;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums}\n"
      "figure{margin:1rem 0;break-inside:avoid}figcaption{color:#555;font-size:.9em}\n"
      "img{image-rendering:pixelated;margin:0 .25rem .25rem "
      "0;max-width:100%}svg{max-width:100%;height:auto}\n"
      "pre{background:#f5f5f5;padding:.6rem;overflow-x:auto;white-space:pre-wrap}\n"
      "@media print{body{margin:0;max-width:none}details>*{display:block}pre{border:1px solid "
      "#ccc}}\n";

  static std::string row(const std::vector<std::string>& cells, const std::string& tag) {
    std::string out = "<tr>";
    for (const auto& cell : cells) {
      const bool number =
          !cell.empty() && std::string_view("0123456789+-").find(cell[0]) != std::string_view::npos;
      out += "<" + tag + (number ? " class=\"n\">" : ">") + escaped(cell) + "</" + tag + ">";
    }
    return out + "</tr>";
  }
  html_page& add(std::string_view html) {
    body_ += html;
    return *this;
  }

  std::string title_, body_;
};

}  // namespace selfpatch
