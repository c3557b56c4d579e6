// jsonl: a log of JSON objects, one a line: written as a run goes, cut back when it resumes, read
// for its report.
//
//   json_log_writer log("runs/a/log.jsonl");
//   log.write(json_record().add("step", 12).add("loss", 4.812));
//
//   const json_log lines("runs/a/log.jsonl");
//   std::vector<double> loss = lines.series("loss");
//
// Numbers are written as the shortest text that reads back as the same double; NaN and the
// infinities as null, which is read as NaN (what a run thinks of such a number stands in its
// `health`).
#pragma once

#include <selfpatch/io/file.hpp>
#include <selfpatch/io/json.hpp>

#include <concepts>
#include <optional>
#include <vector>

namespace selfpatch {

/// An object under construction; fields come out in the order they are added.
class json_record {
 public:
  json_record& add(std::string_view key, double x) {
    append_number(begin(key), x);
    return *this;
  }
  json_record& add(std::string_view key, std::integral auto n) {
    begin(key).append(std::to_string(n));
    return *this;
  }
  json_record& add(std::string_view key, bool yes) {
    begin(key).append(yes ? "true" : "false");
    return *this;
  }
  json_record& add(std::string_view key, std::string_view text) {
    append_quoted(begin(key), text);
    return *this;
  }
  json_record& add(std::string_view key, const char* text) {
    return add(key, std::string_view(text));
  }
  json_record& add(std::string_view key, const json_record& object) {
    begin(key).append(object.text());
    return *this;
  }

  /// The object as JSON, on one line.
  std::string text() const { return "{" + fields_ + "}"; }

 private:
  std::string& begin(std::string_view key) {
    if (!fields_.empty()) fields_.push_back(',');
    append_quoted(fields_, key);
    fields_.push_back(':');
    return fields_;
  }

  std::string fields_;
};

/// Appends to a log. A line is handed to the system when `write` returns; a line that does not fit
/// on the disk is taken back whole, so what is there stays readable.
template <class Files = system_files>
class json_log_writer {
 public:
  explicit json_log_writer(std::filesystem::path path) : path_(std::move(path)) {
    file_ = detail::uninterrupted([&] {
      return ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    });
    if (file_ < 0) cannot_write(path_, "open");
  }
  json_log_writer(const json_log_writer&) = delete;
  json_log_writer& operator=(const json_log_writer&) = delete;
  ~json_log_writer() { ::close(file_); }

  void write(const json_record& record) {
    const std::string line = record.text() + "\n";
    const auto start = ::lseek(file_, 0, SEEK_END);
    for (std::string_view rest = line; !rest.empty();) {
      const auto n =
          detail::uninterrupted([&] { return files_.write(file_, rest.data(), rest.size()); });
      if (n <= 0) {
        const int code = n < 0 ? errno : EIO;
        if (start >= 0 && ::ftruncate(file_, start) < 0)
          cannot_write(path_, "write, then cut back", code);
        cannot_write(path_, "write", code);
      }
      rest.remove_prefix(std::size_t(n));
    }
  }
  /// What was written survives a power cut.
  void sync() {
    if (detail::uninterrupted([&] { return files_.sync(file_); }) < 0) cannot_write(path_, "sync");
  }

 private:
  std::filesystem::path path_;
  [[no_unique_address]] Files files_;
  int file_ = -1;
};

/// The fields of one object, borrowed from its text.
class json_line {
 public:
  struct field {
    std::string key;
    std::string_view value;  ///< JSON
  };

  json_line() = default;
  /// Throws if the text is not one object; `what` and `where` begin the message.
  json_line(std::string_view text, const std::string& what, const std::string& where)
      : what_(what), where_(where) {
    json_scanner in(text, what, where);
    in.object([&](std::string key) { fields_.push_back({std::move(key), in.skip()}); });
    in.end();
  }

  std::span<const field> fields() const { return fields_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// Nothing if there is no such field or it is no number; NaN for null.
  std::optional<double> number(std::string_view key) const {
    const auto* f = find(key);
    if (!f || f->value.find_first_of("\"{[tf") == 0) return std::nullopt;
    return scan(*f).number();
  }
  /// Nothing if there is no such field or it is no string.
  std::optional<std::string> text(std::string_view key) const {
    const auto* f = find(key);
    if (!f || !f->value.starts_with('"')) return std::nullopt;
    return scan(*f).string();
  }
  /// Nothing if there is no such field or it is no object.
  std::optional<json_line> object(std::string_view key) const {
    const auto* f = find(key);
    if (!f || !f->value.starts_with('{')) return std::nullopt;
    return json_line(f->value, what_, where_ + ", " + shown(key));
  }

 private:
  const field* find(std::string_view key) const {
    for (const auto& f : fields_)
      if (f.key == key) return &f;
    return nullptr;
  }
  json_scanner scan(const field& f) const { return {f.value, what_, where_ + ", " + shown(f.key)}; }

  std::vector<field> fields_;
  std::string what_, where_;
};

namespace detail {

/// f(line, number, offset behind it) for each line that ends in a newline, while it returns true.
template <class F>
void for_lines(std::string_view text, F&& f) {
  std::size_t at = 0;
  for (std::size_t number = 1; at < text.size(); ++number) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos || !f(text.substr(at, end - at), number, end + 1)) return;
    at = end + 1;
  }
}

}  // namespace detail

/// A whole log. A last line without its newline was cut off by a crash and is left out; any other
/// line that is not an object is an error naming it.
class json_log {
 public:
  explicit json_log(const std::filesystem::path& path) : file_(path) {
    parse(file_.text(), path.string());
  }
  /// Borrows the text, which must outlive this.
  json_log(std::string_view text, const std::string& name) { parse(text, name); }

  const std::vector<json_line>& lines() const { return lines_; }
  /// The numbers of a field over the lines that have it.
  std::vector<double> series(std::string_view key) const {
    std::vector<double> values;
    for (const auto& line : lines_)
      if (const auto x = line.number(key)) values.push_back(*x);
    return values;
  }

 private:
  void parse(std::string_view text, const std::string& name) {
    detail::for_lines(text, [&](std::string_view line, std::size_t number, std::size_t) {
      lines_.emplace_back(line, "cannot read " + name, "line " + std::to_string(number));
      return true;
    });
  }

  mapped_file file_;
  std::vector<json_line> lines_;
};

/// Cuts a log back to what was known at a step: it ends before the first line whose "step" is
/// greater, or which is no whole object. Lines without a step (the configuration) stay. Returns how
/// many lines are left; a log that does not exist has none.
inline std::size_t truncate_after(const std::filesystem::path& path, std::int64_t step) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return 0;
  std::size_t kept = 0, length = 0, was = 0;
  {
    const mapped_file file(path);
    was = file.bytes().size();
    detail::for_lines(file.text(), [&](std::string_view text, std::size_t number, std::size_t end) {
      try {
        const json_line line(text, "log", "line");
        if (line.number("step").value_or(0) > double(step)) return false;
      } catch (const error&) {
        return false;
      }
      kept = number;
      length = end;
      return true;
    });
  }
  if (length < was && ::truncate(path.c_str(), ::off_t(length)) < 0) cannot_write(path, "cut back");
  return kept;
}

}  // namespace selfpatch
