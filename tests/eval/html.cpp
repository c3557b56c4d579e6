#include <selfpatch/eval/html.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("text from outside cannot become markup", "[eval][html]") {
  CHECK(sp::escaped("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  CHECK(sp::escaped("a\x01\nb\t\x1F") == "a \nb\t ");
  const std::string hostile = "<script>alert(1)</script>";
  const std::string page = sp::html_page(hostile)
                               .heading(hostile)
                               .paragraph(hostile)
                               .verbatim(hostile)
                               .verdict(sp::tone::bad, hostile, hostile)
                               .figure("", hostile)
                               .table({hostile}, {{hostile}})
                               .details(hostile, "")
                               .raw(sp::inline_png({}, hostile))
                               .text();
  CHECK(page.find("<script") == std::string::npos);
}

TEST_CASE("base64 gives the published examples and all digits", "[eval][html]") {
  const auto encode = [](std::string_view text) {
    return sp::base64(std::as_bytes(std::span(text)));
  };
  CHECK(encode("") == "");
  CHECK(encode("f") == "Zg==");
  CHECK(encode("fo") == "Zm8=");
  CHECK(encode("foo") == "Zm9v");
  CHECK(encode("foob") == "Zm9vYg==");
  CHECK(encode("fooba") == "Zm9vYmE=");
  CHECK(encode("foobar") == "Zm9vYmFy");
  CHECK(encode("\xFF\xEF\xBF\xFB") == "/++/+w==");
}

TEST_CASE("a page loads nothing from anywhere and closes what it opens", "[eval][html]") {
  const std::string page = sp::html_page("Run")
                               .verdict(sp::tone::good, "healthy", "it learns")
                               .table({"k", "top1"}, {{"10", "0.51"}, {"20", "-"}})
                               .figure(sp::inline_png({}, "photo", 96), "a photo")
                               .details("configuration", "<pre>x</pre>")
                               .text();
  for (const char* outside : {"http://", "https://", "<script", "<link", "@import", "url("})
    CHECK(page.find(outside) == std::string::npos);
  const auto count = [&](const std::string& part) {
    int n = 0;
    for (auto at = page.find(part); at != std::string::npos; at = page.find(part, at + 1)) ++n;
    return n;
  };
  for (const std::string tag :
       {"html", "head", "body", "table", "figure", "details", "div", "tr", "style", "thead"}) {
    INFO(tag);
    CHECK(count("<" + tag + ">") + count("<" + tag + " ") == count("</" + tag + ">"));
    CHECK(count("</" + tag + ">") > 0);
  }
  CHECK(page.find("Content-Security-Policy") != std::string::npos);
  CHECK(page.find("<td class=\"n\">0.51</td>") != std::string::npos);
  CHECK(page.find("width=\"96\"") != std::string::npos);
}
