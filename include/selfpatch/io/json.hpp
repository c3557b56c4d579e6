// json: a scanner of JSON that never builds a document.
//
//   json_scanner in(text, "cannot read a.safetensors", "header");
//   in.object([&](std::string key) { size = in.integer(); });
//
// It is strict (RFC 8259, UTF-8 checked, no key twice), keeps no more than the string it returns
// and the keys of open objects, and nests no deeper than `most_nested`: the cost of any text is
// proportional to its length.
#pragma once

#include <selfpatch/core/error.hpp>
#include <selfpatch/io/json_text.hpp>

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>

namespace selfpatch {

class json_scanner {
 public:
  static constexpr int most_nested = 64;

  /// `what` and `where` begin every message: "cannot read a.safetensors: header, byte 12; ...".
  json_scanner(std::string_view text, std::string what, std::string where)
      : text_(text), what_(std::move(what)), where_(std::move(where)) {}

  /// The next character that is no white space; 0 at the end.
  char peek() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  /// Takes the character if it comes next.
  bool accept(char c) {
    const bool next = peek() == c && at_ < text_.size();
    at_ += next;
    return next;
  }
  void expect(char c) {
    if (!accept(c)) fail({'\'', c, '\''});
  }
  /// Nothing but white space may follow.
  void end() {
    peek();
    if (at_ < text_.size()) fail("the end");
  }

  /// value(key) for each member, in order; it must scan the member's value.
  template <class F>
  void object(F&& value) {
    deeper();
    expect('{');
    std::unordered_set<std::string> seen;
    for (bool more = !accept('}'); more; more = next_of('}')) {
      std::string key = string();
      if (!seen.insert(key).second) fail("each key once", shown(key) + " again");
      expect(':');
      value(std::move(key));
    }
    --depth_;
  }
  /// item() for each item, in order; it must scan one value.
  template <class F>
  void array(F&& item) {
    deeper();
    expect('[');
    for (bool more = !accept(']'); more; more = next_of(']')) item();
    --depth_;
  }

  std::string string() {
    expect('"');
    std::string s;
    while (true) {
      const std::string_view rest = text_.substr(at_);
      const std::size_t n = detail::utf8_length(rest);
      if (n == 0 || std::uint8_t(rest[0]) < 0x20) fail("a string in UTF-8");
      at_ += n;
      if (rest[0] == '"') return s;
      if (rest[0] == '\\')
        escape(s);
      else
        s.append(rest.substr(0, n));
    }
  }

  /// An integer 0 .. 2^63-1 written in digits alone.
  std::int64_t integer() {
    peek();
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    std::int64_t n = 0;
    const auto [stop, status] = std::from_chars(begin, end, n);
    const bool digits = begin != end && *begin >= '0' && *begin <= '9';
    if (!digits || (*begin == '0' && stop - begin > 1)) fail("an integer, 0 or more");
    if (status != std::errc()) fail("an integer below 2^63", shown({begin, stop}));
    at_ += std::size_t(stop - begin);
    return n;
  }

  /// A number; null, as which a writer leaves NaN, is NaN.
  double number() {
    if (peek() == 'n') {
      word("null");
      return std::numeric_limits<double>::quiet_NaN();
    }
    const std::string_view token = number_token();
    double x = 0;
    const auto [stop, status] = std::from_chars(token.data(), token.data() + token.size(), x);
    // Out of range means too great or too small for a double: not a value of ours.
    if (status != std::errc() || stop != token.data() + token.size())
      fail("a number within a double", shown(token));
    return x;
  }

  /// Passes over a value of any kind and returns its text.
  std::string_view skip() {
    const char c = peek();
    const std::size_t from = at_;
    if (c == '{')
      object([&](const std::string&) { skip(); });
    else if (c == '[')
      array([&] { skip(); });
    else if (c == '"')
      string();
    else if (c == 't')
      word("true");
    else if (c == 'f')
      word("false");
    else if (c == 'n')
      word("null");
    else
      number_token();
    return text_.substr(from, at_ - from);
  }

  /// Names what is being read in the messages that follow.
  void reading(std::string where) { where_ = std::move(where); }

  [[noreturn]] void fail(std::string expected) const { fail(std::move(expected), next_text()); }
  [[noreturn]] void fail(std::string expected, std::string found) const {
    throw error(problem{.what = what_,
                        .where = where_ + ", byte " + std::to_string(at_),
                        .expected = std::move(expected),
                        .found = std::move(found)});
  }

 private:
  void deeper() {
    if (++depth_ > most_nested) fail("at most " + std::to_string(most_nested) + " levels");
  }
  bool next_of(char close) {
    if (accept(close)) return false;
    if (!accept(',')) fail({'\'', ',', '\'', ' ', 'o', 'r', ' ', '\'', close, '\''});
    return true;
  }
  void word(std::string_view w) {
    if (text_.substr(at_, w.size()) != w) fail("a value");
    at_ += w.size();
  }

  void escape(std::string& s) {
    constexpr std::string_view names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (const std::size_t i = names.find(c); i != std::string_view::npos) {
      ++at_;
      s.push_back(values[i]);
      return;
    }
    if (c != 'u') fail("an escape");
    std::uint32_t code = unit();
    if (code >= 0xD800 && code < 0xDC00) {
      if (text_.substr(at_, 2) != "\\u") fail("the second half of a surrogate pair");
      ++at_;
      const std::uint32_t low = unit();
      if (low < 0xDC00 || low >= 0xE000) fail("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      fail("the first half of a surrogate pair");
    }
    detail::append_utf8(s, code);
  }
  std::uint32_t unit() {
    const std::string_view four = text_.substr(at_, 5);  // the u and four digits
    std::uint32_t code = 0;
    const char* end = four.data() + four.size();
    if (four.size() < 5 || std::from_chars(four.data() + 1, end, code, 16).ptr != end)
      fail("four hexadecimal digits");
    at_ += 5;
    return code;
  }

  std::string_view number_token() {
    peek();
    const std::size_t from = at_;
    const auto next = [&](char c) { return at_ < text_.size() && text_[at_] == c; };
    const auto digits = [&] {
      const std::size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      if (at_ == first) fail("a value");
    };
    at_ += next('-');
    if (next('0'))
      ++at_;
    else
      digits();
    if (next('.')) ++at_, digits();
    if (next('e') || next('E')) {
      ++at_;
      at_ += next('+') || next('-');
      digits();
    }
    return text_.substr(from, at_ - from);
  }

  std::string next_text() const {
    if (at_ >= text_.size()) return "the end";
    const std::uint8_t c = std::uint8_t(text_[at_]);
    if (c < 0x20 || c >= 0x7F) return "byte " + std::to_string(c);
    return {'\'', char(c), '\''};
  }

  std::string_view text_;
  std::string what_, where_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace selfpatch
