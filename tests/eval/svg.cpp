#include <selfpatch/eval/svg.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

std::vector<double> tick_values(double low, double high) {
  return sp::detail::nice_ticks(low, high, 5);
}

}  // namespace

TEST_CASE("ticks are round, inside the axis, and few", "[eval][svg]") {
  CHECK(tick_values(0, 1) == std::vector<double>{0, 0.2, 2 * 0.2, 3 * 0.2, 4 * 0.2, 1});
  CHECK(tick_values(0, 1800) == std::vector<double>{0, 500, 1000, 1500});
  CHECK(tick_values(-3.1, 2.2) == std::vector<double>{-2, 0, 2});
  sp::random draws(0, sp::purpose::test);
  for (int i = 0; i < 500; ++i) {
    const double low = draws.normal() * std::pow(10, draws.uniform(-8, 8));
    const double high = low + std::pow(10, draws.uniform(-3, 3)) * (std::abs(low) + 1e-9);
    const auto ticks = tick_values(low, high);
    INFO(low << " .. " << high);
    CHECK(ticks.size() >= 2);
    CHECK(ticks.size() <= 7);
    for (const double t : ticks) {
      CHECK(t >= low - 1e-6 * (high - low));
      CHECK(t <= high + 1e-6 * (high - low));
    }
  }
}

TEST_CASE("a logarithmic axis has its powers of ten, and 2 and 5 between few of them",
          "[eval][svg]") {
  CHECK(sp::detail::log_ticks(-3, 0) == std::vector<double>{1e-3, 1e-2, 1e-1, 1});
  const auto few = sp::detail::log_ticks(std::log10(0.15), std::log10(3));
  REQUIRE(few.size() == 4);
  CHECK(few[0] == Approx(0.2));
  CHECK(few[3] == Approx(2));
  CHECK(sp::detail::log_ticks(-30, 30).size() <= 8);
}

TEST_CASE("numbers are written short", "[eval][svg]") {
  CHECK(sp::short_number(0.1 + 0.2) == "0.3");
  CHECK(sp::short_number(1234567, 9) == "1234567");
  CHECK(sp::short_number(-0.0) == "0");
  CHECK(sp::short_number(std::nan("")) == "nan");
  CHECK(sp::short_number(-INFINITY) == "-inf");
}

TEST_CASE("points land where the axes say", "[eval][svg]") {
  sp::plot p{.x_label = "x", .y_label = "y", .width = 180, .height = 142};
  p.lines.push_back({.label = "", .x = {0, 10}, .y = {0, 1}});
  // 100 x 100 pixels between x = 60 .. 160 and y = 108 .. 8, y with 5 % margin on both sides.
  const double bottom = 108 - 100 * 0.05 / 1.1, top = 8 + 100 * 0.05 / 1.1;
  const auto at = [](double v) { return sp::short_number(std::round(v * 10) / 10, 6); };
  CHECK_THAT(sp::svg(p), contains("d=\"M60 " + at(bottom) + "L160 " + at(top) + "\""));
}

TEST_CASE("what is not a number leaves a gap", "[eval][svg]") {
  sp::plot p{.x_label = "x", .y_label = "y"};
  p.lines.push_back(
      {.label = "a", .x = {0, 1, 2, 3, 4, 5}, .y = {1, 2, std::nan(""), INFINITY, 2, 1}});
  const std::string text = sp::svg(p);
  const auto path = text.find("fill=\"none\" stroke=\"#0072b2\"");
  REQUIRE(path != std::string::npos);
  const std::string line = text.substr(path, text.find("/>", path) - path);
  CHECK(count(line, "M") == 2);
  CHECK(count(line, "L") == 2);
  CHECK(text.find("nan") == std::string::npos);
  CHECK(text.find("inf") == std::string::npos);
}

TEST_CASE("a value that is not positive leaves a gap on a logarithmic axis", "[eval][svg]") {
  sp::plot p{.x_label = "x", .y_label = "y", .log_y = true};
  p.lines.push_back({.label = "a", .x = {0, 1, 2, 3, 4}, .y = {1, 10, 0, -1, 100}});
  const std::string text = sp::svg(p);
  CHECK(text.find("nan") == std::string::npos);
  CHECK(count(text, ">100<") == 1);
}

TEST_CASE("plots of nothing, of one point and of constants have finite coordinates",
          "[eval][svg]") {
  for (const double v : {0.0, 1.0, -1e-300, 1e300, 5e-324}) {
    sp::plot p{.x_label = "x", .y_label = "y"};
    p.lines.push_back({.label = "a", .x = {v}, .y = {v}});
    p.references.push_back({.y = v, .label = "r"});
    const std::string text = sp::svg(p);
    INFO(v);
    CHECK(text.find("nan") == std::string::npos);
    CHECK(text.find("\"inf") == std::string::npos);
    CHECK(text.find("-inf") == std::string::npos);
  }
  CHECK_NOTHROW(sp::svg({}));
}

TEST_CASE("a long series stays small and keeps its spikes", "[eval][svg]") {
  sp::plot p{.x_label = "step", .y_label = "loss"};
  sp::plot::line line{.label = "loss"};
  for (int i = 0; i < 200'000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i == 123'456 ? 1000 : std::sin(i * 0.1));
  }
  p.lines.push_back(line);
  const std::string text = sp::svg(p);
  CHECK(text.size() < 60'000);
  const double top = 8 + 16, high = 240 - 34, spike = top + (high - top) * 0.05 / 1.1;
  CHECK(text.find(" " + sp::short_number(std::round(spike * 10) / 10, 6) + "L") !=
        std::string::npos);
}

TEST_CASE("lines differ by color, dash and marker, and are named in the legend", "[eval][svg]") {
  sp::plot p{.x_label = "x", .y_label = "y"};
  for (const char* name : {"first", "second <b>"})
    p.lines.push_back({.label = name, .x = {0, 1}, .y = {0, 1}});
  const std::string text = sp::svg(p);
  CHECK(text.find(">first</text>") != std::string::npos);
  CHECK(text.find(">second &lt;b&gt;</text>") != std::string::npos);
  CHECK(count(text, "stroke-dasharray=\"7 3\"") == 2);
  CHECK(count(text, "m-3 0a3 3") > 0);
  CHECK(count(text, "m-3-3h6v6") > 0);
  CHECK(count(text, "<path") == count(text, "/>"));
}

TEST_CASE("a line whose x and y differ in length is refused", "[eval][svg]") {
  sp::plot p{.x_label = "x", .y_label = "y"};
  p.lines.push_back({.label = "a", .x = {0, 1}, .y = {0}});
  CHECK_THROWS_WITH(sp::svg(p), contains("the same length"));
}
