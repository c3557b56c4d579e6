#include <selfpatch/io/jsonl.hpp>

#include "testing.hpp"

#include <bit>
#include <clocale>
#include <limits>

namespace sp = selfpatch;

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

std::string with_steps(std::initializer_list<int> steps) {
  std::string log = "{\"configuration\":{\"step\":900},\"steps\":900}\n";
  for (const int s : steps)
    log += sp::json_record().add("step", s).add("loss", s / 8.0).text() + "\n";
  return log;
}

}  // namespace

TEST_CASE("a record keeps the order of its fields and the type of each value", "[io][jsonl]") {
  const auto record = sp::json_record()
                          .add("step", 12)
                          .add("loss", 4.8125)
                          .add("images", std::uint64_t(18446744073709551615u))
                          .add("debt", std::int64_t(-1))
                          .add("ok", true)
                          .add("health", "a \"word\"\n")
                          .add("machine", sp::json_record().add("cores", 2))
                          .add("none", sp::json_record());
  CHECK(record.text() ==
        R"({"step":12,"loss":4.8125,"images":18446744073709551615,"debt":-1,"ok":true,)"
        R"("health":"a \"word\"\n","machine":{"cores":2},"none":{}})");
  CHECK(sp::json_record().text() == "{}");
}

TEST_CASE("doubles are written shortest and read back bit for bit; what is no number is null",
          "[io][jsonl]") {
  CHECK(sp::json_record().add("x", 0.1).add("y", 1e300).add("z", -0.0).add("w", 5e-324).text() ==
        R"({"x":0.1,"y":1e+300,"z":-0,"w":5e-324})");
  CHECK(sp::json_record().add("a", infinite).add("b", -infinite).add("c", std::nan("")).text() ==
        R"({"a":null,"b":null,"c":null})");
  const std::string log = sp::json_record().add("x", 1 / 3.0).add("y", std::nan("")).text() + "\n";
  const sp::json_log back(log, "log");
  CHECK(back.lines()[0].number("x") == 1 / 3.0);
  CHECK(std::isnan(back.lines()[0].number("y").value()));
}

TEST_CASE("each line is in the file when the call returns, behind what was there", "[io][jsonl]") {
  const temporary_folder scratch;
  write_bytes(scratch / "log", "{}\n");
  sp::json_log_writer log(scratch / "log");
  log.write(sp::json_record().add("a", 1));
  CHECK(file_bytes(scratch / "log") == "{}\n{\"a\":1}\n");
  log.write(sp::json_record().add("a", 2));
  CHECK(file_bytes(scratch / "log") == "{}\n{\"a\":1}\n{\"a\":2}\n");
  CHECK_NOTHROW(log.sync());
  CHECK_THROWS_AS(sp::json_log_writer(scratch / "absent" / "log"), sp::write_error);
}

TEST_CASE("fields are found by key and kind", "[io][jsonl]") {
  const sp::json_line line(R"({"n":-1.5e2,"s":"a\u0042","o":{"n":7},"b":true,"l":[1],"z":null})",
                           "log", "line 1");
  CHECK(line.number("n") == -150);
  CHECK(line.text("s") == "aB");
  CHECK(line.object("o")->number("n") == 7);
  CHECK(std::isnan(line.number("z").value()));
  for (const char* key : {"s", "o", "b", "l", "absent"}) CHECK_FALSE(line.number(key));
  for (const char* key : {"n", "o", "z", "absent"}) CHECK_FALSE(line.text(key));
  CHECK_FALSE(line.object("n"));
  CHECK(line.has("l"));
  CHECK(line.fields()[4].value == "[1]");
}

TEST_CASE("a series holds a field of the lines that have it", "[io][jsonl]") {
  const std::string log = with_steps({1, 2, 3}) + "{\"step\":4}\n{\"step\":5,\"loss\":null}\n";
  const sp::json_log lines(log, "log");
  CHECK(lines.series("step") == std::vector<double>{1, 2, 3, 4, 5});
  const auto loss = lines.series("loss");
  REQUIRE(loss.size() == 4);
  CHECK(loss[2] == 0.375);
  CHECK(std::isnan(loss[3]));
  CHECK(lines.series("absent").empty());
}

TEST_CASE("a last line cut by a crash is left out, any other bad line is named", "[io][jsonl]") {
  const std::string cut = with_steps({1}) + "{\"step\":2,\"lo";
  CHECK(sp::json_log(cut, "log").lines().size() == 2);
  for (const char* bad :
       {"", "[]", "1", "{\"a\":1}}", "{\"a\":1} {}", "{\"a\":1,\"a\":2}", "{\"a\":nan}"}) {
    const std::string text = with_steps({1}) + bad + "\n";
    CHECK_THROWS_WITH(sp::json_log(text, "log.jsonl"),
                      contains("cannot read log.jsonl: line 3, byte"));
  }
}

TEST_CASE("a log is cut back to a step", "[io][jsonl]") {
  const temporary_folder scratch;
  const auto path = scratch / "log";
  const auto cut = [&](const std::string& text, int step) {
    write_bytes(path, text);
    const std::size_t lines = sp::truncate_after(path, step);
    const std::string left = file_bytes(path);
    CHECK(std::count(left.begin(), left.end(), '\n') == std::ptrdiff_t(lines));
    return left;
  };
  const std::string log = with_steps({10, 20, 30});
  CHECK(cut(log, 20) == with_steps({10, 20}));
  CHECK(cut(log, 29) == with_steps({10, 20}));
  CHECK(cut(log, 30) == log);
  CHECK(cut(log, 99) == log);
  CHECK(cut(log, 0) == with_steps({}));
  CHECK(cut(log + "{\"step\":40,\"lo", 99) == log);
  CHECK(cut(with_steps({10}) + "garbage\n" + "{\"step\":20}\n", 99) == with_steps({10}));
  CHECK(cut(with_steps({10, 30}) + "{\"step\":20}\n", 20) == with_steps({10}));
  CHECK(cut("", 5).empty());
  CHECK(sp::truncate_after(scratch / "absent", 5) == 0);
}

TEST_CASE("numbers do not depend on the locale", "[io][jsonl]") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  const bool comma = std::setlocale(LC_ALL, "de_DE.UTF-8") != nullptr;
  const std::string text = sp::json_record().add("x", 0.5).text() + "\n";
  const auto x = sp::json_log(text, "log").lines()[0].number("x");
  std::setlocale(LC_ALL, before.c_str());
  CHECK(text == "{\"x\":0.5}\n");
  CHECK(x == 0.5);
  if (!comma) return skip("the locale de_DE.UTF-8 is not installed");
}
