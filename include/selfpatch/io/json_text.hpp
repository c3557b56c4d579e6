// json_text: text and numbers as JSON spells them. Whatever goes in, what comes out is JSON in
// UTF-8.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace selfpatch {

namespace detail {

/// Bytes of the UTF-8 sequence the text begins with, 0 if it is none (overlong, surrogate, beyond
/// U+10FFFF, cut short).
inline std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return std::uint8_t(i < s.size() ? s[i] : 0); };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const std::uint8_t a = byte(0), b = byte(1);
  if (s.empty()) return 0;
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a < 0xE0) return follows(1) ? 2 : 0;
  if (a >= 0xE0 && a < 0xF0) {
    const bool legal = (a != 0xE0 || b >= 0xA0) && (a != 0xED || b < 0xA0);
    return legal && follows(1) && follows(2) ? 3 : 0;
  }
  if (a >= 0xF0 && a < 0xF5) {
    const bool legal = (a != 0xF0 || b >= 0x90) && (a != 0xF4 || b < 0x90);
    return legal && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

inline void append_utf8(std::string& s, std::uint32_t code) {
  const auto add = [&](std::uint32_t byte) { s.push_back(char(std::uint8_t(byte))); };
  if (code < 0x80) return add(code);
  if (code < 0x800)
    add(0xC0 | code >> 6);
  else if (code < 0x10000)
    add(0xE0 | code >> 12), add(0x80 | (code >> 6 & 63));
  else
    add(0xF0 | code >> 18), add(0x80 | (code >> 12 & 63)), add(0x80 | (code >> 6 & 63));
  add(0x80 | (code & 63));
}

}  // namespace detail

inline bool is_utf8(std::string_view s) {
  while (!s.empty()) {
    const std::size_t n = detail::utf8_length(s);
    if (n == 0) return false;
    s.remove_prefix(n);
  }
  return true;
}

/// Appends the text as a JSON string; bytes that are not UTF-8 (file names may hold any) as U+FFFD.
inline void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t n = detail::utf8_length(text);
    if (n == 0)
      out.append("\xEF\xBF\xBD");
    else if (c == '"' || c == '\\')
      out.append({'\\', c});
    else if (c == '\n')
      out.append("\\n");
    else if (std::uint8_t(c) < 0x20)
      out.append("\\u00").append({char('0' + c / 16), "0123456789abcdef"[c % 16]});
    else
      out.append(text.substr(0, n));
    text.remove_prefix(n ? n : 1);
  }
  out.push_back('"');
}

/// The text as a message shows it: quoted, on one line, and cut when a file's author made it long.
inline std::string shown(std::string_view text) {
  std::string q;
  append_quoted(q, text.substr(0, 80));
  return text.size() > 80 ? q + "..." : q;
}

/// Appends the shortest text that reads back as the same double; NaN and the infinities, which JSON
/// lacks, as null.
inline void append_number(std::string& out, double x) {
  if (!std::isfinite(x)) {
    out.append("null");
    return;
  }
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, x).ptr);
}

}  // namespace selfpatch
