// run_log: RUN/log.jsonl as columns.
//
// Line 1 is the configuration, the machine and the command; then comes a line per interval, each
// with a step; the last line of a run that ended is {"end": {...}}. Lines may lack fields: then
// there is NaN in a column.
#pragma once

#include <selfpatch/io/jsonl.hpp>

#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace selfpatch {

class run_log {
 public:
  /// Throws error where the log cannot be read or its first line is no configuration.
  explicit run_log(const std::filesystem::path& path) : log_(path) {
    if (log_.lines().empty() || !log_.lines().front().has("config"))
      throw error(problem{.what = "cannot read " + path.string(),
                          .where = "line 1",
                          .expected = "the configuration of a run",
                          .found = "something else"});
    for (const json_line& line : log_.lines()) {
      if (line.number("step")) intervals_.push_back(&line);
      if (auto end = line.object("end")) end_ = std::move(end);
    }
  }

  const json_line& first() const { return log_.lines().front(); }
  /// What the run said when it ended; nothing for one that was stopped or still goes on.
  const std::optional<json_line>& end() const { return end_; }
  std::size_t size() const { return intervals_.size(); }

  /// One number per interval.
  std::vector<double> column(std::string_view key) const {
    std::vector<double> values;
    for (const json_line* line : intervals_) values.push_back(line->number(key).value_or(nan));
    return values;
  }
  /// The last number of a column that is one; NaN if there is none.
  double last(std::string_view key) const {
    double value = nan;
    for (const double x : column(key))
      if (std::isfinite(x)) value = x;
    return value;
  }
  /// A word of the last interval; empty if it is not there.
  std::string last_text(std::string_view key) const {
    return intervals_.empty() ? "" : intervals_.back()->text(key).value_or("");
  }
  /// Intervals that have the field.
  std::size_t count(std::string_view key) const {
    std::size_t n = 0;
    for (const json_line* line : intervals_) n += line->has(key);
    return n;
  }

  /// Names and values of an object of the first line, as text.
  std::vector<std::pair<std::string, std::string>> pairs(std::string_view object) const {
    std::vector<std::pair<std::string, std::string>> all;
    const auto found = first().object(object);
    if (!found) return all;
    for (const auto& f : found->fields())
      all.emplace_back(f.key, found->text(f.key).value_or(std::string(f.value)));
    return all;
  }

 private:
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

  json_log log_;
  std::vector<const json_line*> intervals_;
  std::optional<json_line> end_;
};

}  // namespace selfpatch
